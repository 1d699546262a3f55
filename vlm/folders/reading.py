"""Read a model's or adapter's folder strictly, before any library does (see `settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import WeightsError, one_line
from .settings import (
    AdapterSettings,
    GenerationSettings,
    ModelSettings,
    ProcessorSettings,
    TokenizerSettings,
)

# Settings of the largest models take about ten kilobytes.
_LARGEST_FILE = 2**20


@dataclass(frozen=True)
class ModelFolder:
    """A full model's folder: its validated settings, and its weight files, not yet read."""

    path: Path
    config: ModelSettings
    processor: ProcessorSettings
    tokenizer: TokenizerSettings
    generation: GenerationSettings
    weights: tuple[Path, ...]


def read_model_folder(folder: Path) -> ModelFolder:
    """Validate the settings of a full model's folder.

    Raises:
        WeightsError: a file is missing or has an invalid setting; the message names file and key.
    """
    config = read_settings(folder / "config.json", ModelSettings)
    processor = read_settings(folder / "processor_config.json", ProcessorSettings)
    tokenizer = read_settings(folder / "tokenizer_config.json", TokenizerSettings)
    generation = GenerationSettings()
    if (folder / "generation_config.json").exists():
        generation = read_settings(folder / "generation_config.json", GenerationSettings)
    _require_agreement(folder, config, processor)
    return ModelFolder(folder, config, processor, tokenizer, generation, _weights(folder))


def read_adapter(folder: Path) -> AdapterSettings:
    """Validate the settings of an adapter's folder.

    Raises:
        WeightsError: the file is missing or has an invalid setting; the message names file and key.
    """
    return read_settings(folder / "adapter_config.json", AdapterSettings)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_settings(path: Path, form: type[SettingsT], largest: int = _LARGEST_FILE) -> SettingsT:
    """Read a JSON file and validate it against `form`.

    Raises:
        WeightsError: the file cannot be read or is invalid; the message names the key.
    """
    try:
        _require_file(path, largest)
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; copy the folder again") from error
    return validate(path, content, form)


def validate(path: Path, content: str | bytes, form: type[SettingsT]) -> SettingsT:
    """Validate the settings of a file, as JSON, against `form`.

    Raises:
        WeightsError: a setting is invalid; the message names the file and the key.
    """
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        raise WeightsError(f"{path}: {_complaint(error)}; copy the folder again, or take another") from error


def _require_file(path: Path, largest: int) -> None:
    """Refuse anything but a regular file (reading a pipe would block) of at most `largest` bytes."""
    if not path.is_file():
        raise WeightsError(f"there is no file {path}; copy the folder again")
    if path.stat().st_size > largest:
        raise WeightsError(f"{path} is too large for such a file; copy the folder again")


def _complaint(error: ValidationError) -> str:
    """Return in one line which setting is invalid, and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = {"extra_forbidden": "unknown setting", "missing": "is missing"}.get(first["type"], first["msg"])
    key = ".".join(map(str, first["loc"]))
    return one_line(": ".join(filter(None, (key, reason.removeprefix("Value error, ")))))


def _require_agreement(folder: Path, config: ModelSettings, processor: ProcessorSettings) -> None:
    side = config.image_size // config.vision_config.patch_size
    placeholder = config.text_config.vocab_size if config.image_token_id is None else config.image_token_id
    size = processor.image_processor.size
    for key, found, wanted in (
        ("image_tokens", processor.image_tokens, side * side // config.patches_per_token),
        ("image_token_id", processor.image_token_id, placeholder),
        ("image_processor.size", (size.height, size.width), (config.image_size, config.image_size)),
    ):
        if found != wanted:
            raise WeightsError(
                f"{folder / 'processor_config.json'}: {key} is {found}, by config.json it is {wanted}; "
                "copy the folder again"
            )


def _weights(folder: Path) -> tuple[Path, ...]:
    files = tuple(sorted(path for path in folder.glob("model*.safetensors") if path.is_file()))
    if not files:
        raise WeightsError(
            f"there is no model.safetensors in {folder}; files of other kinds can run code and are not read: "
            "ask for safetensors"
        )
    return files
