"""Build the engine that `--model` names: a preset, a folder, or a server's address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import AssistantError
from ..prompt_form import OURS
from .address import is_address
from .base import Engine
from .threads import spin_briefly


def load_engine(
    model: str,
    base: Path | None = None,
    *,
    zoom: bool = True,
    dtype: str | None = None,
    device: str | None = None,
    quantize: str | None = None,
    adapters: Mapping[str, str | Path] | None = None,
) -> Engine:
    """Return the engine for a model's name, an adapter's or a model's folder, or a server's address.

    `base` is the base model of an adapter, if it was moved; `dtype`, `device`, `quantize` and `adapters` are
    as for `VisionLanguageModel.load`. With `zoom`, a model of our own prompt form zooms in on small
    referents; a model of another form answers once, as in its published evaluation.

    Raises:
        WeightsError: there is no such model, or its weights are not available.
        AssistantError: the address cannot be used, or options for local weights come with an address.
        ValueError: there is no such `dtype`, `device` or `quantize`.
    """
    if is_address(model):
        given: dict[str, object] = {"--base": base, "--adapter": adapters, "--dtype": dtype}
        given |= {"--device": device, "--quantize": quantize}
        if any(given.values()):
            names = " and ".join(name for name, value in given.items() if value)
            raise AssistantError(f"{model} is a server's, which has its own weights: leave {names} out")
        from .remote import RemoteEngine

        return RemoteEngine.connect(model, zoom=zoom)
    spin_briefly()
    from .calibrated import CalibratedEngine
    from .local import LocalEngine
    from .precision import precision
    from .zoom import ZoomRefiner

    engine = LocalEngine.load(
        model, base, precision(dtype), device=device, quantize=quantize, adapters=adapters
    )
    zooms = zoom and engine.processor.prompt_form.name == OURS.name
    refined = ZoomRefiner(engine) if zooms else engine
    return CalibratedEngine(refined, engine.calibrations) if engine.calibrations else refined
