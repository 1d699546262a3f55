"""The options of every command that asks a model: which model, and how it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...vlm.generation_options import MOST_BEAMS, GenerationOptions
from ...vlm.models.presets import DEFAULT_MODEL
from .options import (
    BaseOption,
    DeviceOption,
    DialectOption,
    DtypeOption,
    ModelOption,
    QuantizeOption,
    in_dialect,
    load_model,
)
from .paths import named_path

if TYPE_CHECKING:
    from ...vlm.vision_language_model import VisionLanguageModel

_PANEL = "How the answer is generated"

TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=100,
        rich_help_panel=_PANEL,
        help="0 picks the likeliest token, more samples more freely, e.g. 0.6.  [default: the model's own]",
    ),
]
TopPOption = Annotated[
    float | None,
    typer.Option(
        max=1,
        rich_help_panel=_PANEL,
        help="Sample from the likeliest tokens that have this share of the probability, e.g. 0.9.",
    ),
]
PenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--repetition-penalty",
        max=100,
        rich_help_panel=_PANEL,
        help="Above 1, e.g. 1.05, keeps an answer from repeating itself.",
    ),
]
LengthOption = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        min=1,
        rich_help_panel=_PANEL,
        help="The longest answer, e.g. 100.  [default: by the task]",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0, rich_help_panel=_PANEL, help="The seed of sampling, e.g. 1: the same seed repeats an answer."
    ),
]

BeamsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_BEAMS,
        rich_help_panel=_PANEL,
        help="Search for the likeliest whole answer with this many beams, e.g. 5; nothing is sampled then.",
    ),
]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="NAME=FOLDER",
        help="Load an adapter over the model; the first one answers, and /adapter NAME in a chat switches.",
    ),
]


@dataclass(frozen=True)
class ModelChoice:
    """The model that `--model` and its options choose."""

    name: str
    base: Path | None
    dtype: str | None
    device: str | None
    quantize: str | None
    options: GenerationOptions
    adapters: Mapping[str, Path]

    def load(self) -> VisionLanguageModel:
        """Load the model with its first adapter, if any, or connect to its server."""
        model = load_model(
            self.name,
            self.base,
            dtype=self.dtype,
            device=self.device,
            quantize=self.quantize,
            options=self.options,
            adapters=self.adapters,
        )
        return model.with_adapter(next(iter(self.adapters), ""))


def choose_model(
    model: ModelOption = DEFAULT_MODEL,
    base: BaseOption = None,
    adapter: AdapterOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    quantize: QuantizeOption = None,
    dialect: DialectOption = None,
    temperature: TemperatureOption = None,
    top_p: TopPOption = None,
    repetition_penalty: PenaltyOption = None,
    max_tokens: LengthOption = None,
    seed: SeedOption = None,
    beams: BeamsOption = None,
) -> ModelChoice:
    """Return the chosen model without loading it.

    Raises:
        AssistantError: there is no such model, or its address is malformed.
        BadParameter: an option is out of range.
    """
    try:
        options = GenerationOptions(temperature, top_p, repetition_penalty, max_tokens, seed, beams)
    except ValueError as error:
        raise typer.BadParameter(f"--{str(error).replace('_', '-', 1)}") from error
    adapters = _by_name(adapter or [])
    return ModelChoice(in_dialect(model, dialect), base, dtype, device, quantize, options, adapters)


def _by_name(given: Sequence[str]) -> dict[str, Path]:
    """Return the folders of adapters by name."""
    found: dict[str, Path] = {}
    for name, equals, folder in (it.partition("=") for it in given):
        if not (name and folder) or name in found:
            problem = (
                f"has two named {name!r}" if name in found else f"takes NAME=FOLDER, not {name + equals!r}"
            )
            raise typer.BadParameter(f"--adapter {problem}")
        found[name] = named_path(folder)
    return found


def with_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's argument `choice` by the options of `choose_model`."""
    added = inspect.signature(choose_model, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += added.values() if name == "choice" else [parameter]

    @wraps(command)
    def run(**values: Any) -> None:
        choice = choose_model(**{name: values.pop(name) for name in added})
        command(**values, choice=choice)

    vars(run)["__signature__"] = own.replace(parameters=parameters)
    run.__annotations__ = {it.name: it.annotation for it in parameters}
    return run
