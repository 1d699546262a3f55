"""The one place that makes an engine of what `--model` says: a name, a folder, or an address."""

from __future__ import annotations

from .address import is_address
from .base import Engine


def load_engine(model: str) -> Engine:
    """Return the engine for a model's name, an adapter's or a model's folder, or a server's address.

    Raises:
        WeightsError: there is no such model, or its weights cannot be had.
        AssistantError: it is an address that cannot be used.
    """
    if is_address(model):
        from .remote import RemoteEngine

        return RemoteEngine.connect(model)
    from .calibrated import CalibratedEngine
    from .local import LocalEngine
    from .zoom import ZoomRefiner

    engine = LocalEngine.load(model)
    looked = ZoomRefiner(engine)
    return looked if engine.calibration is None else CalibratedEngine(looked, engine.calibration)


__all__ = ["load_engine"]
