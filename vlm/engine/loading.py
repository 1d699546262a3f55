"""The one place that makes an engine of what `--model` says: a name, a folder, or an address."""

from __future__ import annotations

from pathlib import Path

from ..prompt_form import OURS
from .address import is_address
from .base import Engine


def load_engine(model: str, base: Path | None = None, *, zoom: bool = True) -> Engine:
    """Return the engine for a model's name, an adapter's or a model's folder, or a server's address.

    `base` is the whole model of an adapter, where that was moved. With `zoom`, a model of our own prompt form
    looks again for small things; one of another form is asked once, as it was when it was measured.

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

    engine = LocalEngine.load(model, base)
    zooms = zoom and engine.processor.prompt_form.name == OURS.name
    looked = ZoomRefiner(engine) if zooms else engine
    return looked if engine.calibration is None else CalibratedEngine(looked, engine.calibration)


__all__ = ["load_engine"]
