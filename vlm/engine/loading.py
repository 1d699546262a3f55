"""Build the engine that `--model` names: a preset, a folder, or a server's address."""

from __future__ import annotations

from pathlib import Path

from ..errors import AssistantError
from ..prompt_form import OURS
from .address import is_address
from .base import Engine
from .threads import spin_briefly


def load_engine(
    model: str, base: Path | None = None, *, zoom: bool = True, dtype: str | None = None
) -> Engine:
    """Return the engine for a model's name, an adapter's or a model's folder, or a server's address.

    `base` is the base model of an adapter, if it was moved; `dtype` is float32, float16 or bfloat16, by
    default the fastest on this machine. With `zoom`, a model of our own prompt form weighs sampled
    boxes of a referent and zooms in on small ones; a model of another form answers once, as in its published
    evaluation.

    Raises:
        WeightsError: there is no such model, or its weights are not available.
        AssistantError: the address cannot be used, or `base` or `dtype` is given with an address.
        ValueError: there is no such `dtype`.
    """
    if is_address(model):
        if base or dtype:
            raise AssistantError(f"{model} is a server's: it has its own weights, without --base and --dtype")
        from .remote import RemoteEngine

        return RemoteEngine.connect(model, zoom=zoom)
    spin_briefly()
    from .calibrated import CalibratedEngine
    from .consensus import ConsensusEngine
    from .local import LocalEngine
    from .precision import precision
    from .zoom import ZoomRefiner

    engine = LocalEngine.load(model, base, precision(dtype))
    zooms = zoom and engine.processor.prompt_form.name == OURS.name
    refined = ZoomRefiner(ConsensusEngine(engine)) if zooms else engine
    return refined if engine.calibration is None else CalibratedEngine(refined, engine.calibration)


__all__ = ["load_engine"]
