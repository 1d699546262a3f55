"""Load and validate the settings of a run from a stage, a file and options."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..architecture.adapter import AdapterConfig
from ..data.configuration import MixtureConfig
from ..data.sources.own import count_images, is_own
from ..errors import AssistantError
from ..models.presets import DEFAULT_MODEL, PRESETS
from .schedule import Schedule

STAGES = Path(__file__).parent / "stages"
OWN = "own"
"""The default stage for records written by hand."""
FRESH = "none"
"""The value of `init` for a new adapter, where another one is the default."""

# For records written by hand: passes over the data, and the limits of the steps that follow from them.
_PASSES, _FEWEST, _MOST = 25, 40, 2600

Count = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainingConfig:
    """The settings of a run.

    `model` is a preset or the folder of a whole model; `init` is the adapter to start from, a preset or a
    folder, of the shape of `adapter` if that is given (`none`: a new adapter).
    `batch` is the number of images per step, over all processes and gradient accumulation (each image has
    several samples): a run does not depend on the number of processes.
    `learning_rate` is LoRA's peak rate; the linear layer starts untrained and needs a higher one. The rate
    rises from 0 and falls in a cosine to 0 again, or with `schedule` as in the reference.
    With `whiten` the linear layer is trained in a basis in which the tower's features are whitened.
    `max_gradient_norm` of 0 disables clipping. `bf16` runs autocast in bfloat16.
    `compile_layers` fuses operations between matrix products: a minute of preparation, then a fifth less
    time per step on a CPU (needs a C++ compiler). `gradient_checkpointing` trades compute for memory;
    `fsdp` shards the weights over the processes of torchrun.
    With `self_critical`, the model generates that many captions of each image, and answers to one referring
    expression about it, and is rewarded for the better ones (0: off).
    `feature_cache` stores the tower's features of each image, for images that are not cropped.
    Every `save_every` steps there is a checkpoint, every `sample_every` a sheet of answers (0: none), every
    `log_every` a line in the log.
    """

    data: Path
    out: Path
    split: str = "train"
    skip_broken: bool = False
    model: str = DEFAULT_MODEL
    init: str | Path | None = None
    steps: Count = 2600
    batch: Count = 4
    gradient_accumulation: Count = 1
    learning_rate: Rate = 1e-3
    projection_learning_rate: Rate = 3e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    schedule: Schedule | None = None
    weight_decay: Rate = 0.05
    max_gradient_norm: Rate = 1.0
    seed: int = 0
    whiten: bool = False
    bf16: bool = True
    compile_layers: bool = False
    gradient_checkpointing: bool = False
    fsdp: bool = False
    self_critical: Annotated[int, Field(ge=0)] = 0
    feature_cache: Path | None = None
    save_every: Count = 200
    sample_every: Annotated[int, Field(ge=0)] = 0
    log_every: Count = 20
    adapter: AdapterConfig | None = None
    mixture: MixtureConfig = field(default_factory=MixtureConfig)


def stage_names() -> list[str]:
    """Return the names of the stages that ship with the package."""
    return sorted(path.stem for path in STAGES.glob("*.toml"))


def load_config(
    stage: str | None = None, file: Path | None = None, options: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Merge the settings of a stage, a file and options; later ones win.

    For records written by hand the default stage is `own`, the default adapter the one that ships with the
    model, and the default number of steps follows from the number of images.

    Raises:
        AssistantError: the stage or file does not exist, or a key or value is invalid (it is named).
    """
    layers = [(str(file), _read(file))] if file is not None else []
    layers.append(("options", dict(options or {})))
    data = _data(layers)
    if stage is None and data is not None and is_own(data):
        stage = OWN
    if stage is not None:
        if stage not in stage_names():
            raise AssistantError(f"no stage {stage!r}: choose one of {', '.join(stage_names())}")
        layers.insert(0, (f"stage {stage}", _read(STAGES / f"{stage}.toml")))
    merged: dict[str, Any] = {}
    for _, values in layers:
        merged = _merged(merged, values)
    if stage == OWN and data is not None:
        merged = _for_own(merged, data)
    try:
        return TypeAdapter(TrainingConfig).validate_python(merged)
    except ValidationError as error:
        raise AssistantError(_error_message(error, layers)) from error


def _data(layers: list[tuple[str, dict[str, Any]]]) -> Path | None:
    """Return the path of the data, None if missing or of another type, which validation reports."""
    given = next((values["data"] for _, values in reversed(layers) if "data" in values), None)
    return Path(given) if isinstance(given, str | Path) else None


def _for_own(given: dict[str, Any], data: Path) -> dict[str, Any]:
    """Add the defaults for records written by hand: the initial adapter and the number of steps."""
    model, batch = given.get("model", DEFAULT_MODEL), given.get("batch", TrainingConfig.batch)
    settings = ({"init": model} if isinstance(model, str) and model in PRESETS else {}) | given
    if "steps" not in settings and isinstance(batch, int) and batch > 0:
        wanted = -(-_PASSES * count_images(data) // batch)
        settings["steps"] = min(max(wanted, _FEWEST), _MOST)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssistantError(f"cannot read {path}: {error.strerror}; name a settings file") from error
    except ValueError as error:
        raise AssistantError(f"{path} is not TOML: {error}") from error


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings; `over` wins, and tables are merged key by key."""
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _error_message(error: ValidationError, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return one line that names the invalid key and its origin."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    top = first["loc"][0] if first["loc"] else ""
    origin = next((origin for origin, values in reversed(layers) if top in values), None)
    if first["type"] == "unexpected_keyword_argument":
        known = f": choose among {', '.join(item.name for item in fields(TrainingConfig))}"
        return f"{origin}: unknown key {name}{known if len(first['loc']) == 1 else ''}"
    if first["type"] == "missing":
        return (
            f"{name} is missing: give it as an option (--{name.replace('_', '-')}) or in a file of --config"
        )
    return f"{origin}: {name}: {first['msg']}"
