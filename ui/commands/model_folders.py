"""Print the contents of models' and adapters' folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...vlm.errors import AssistantError, WeightsError
from .output import note, say, say_json

if TYPE_CHECKING:
    from ...vlm.models.inventory import AdapterInventory, Lora, ModelInventory


def list_folders(folders: Sequence[Path], *, as_json: bool) -> None:
    """Print a line for each model and adapter below the folders; errors go to stderr.

    Raises:
        AssistantError: there is none.
    """
    from ...vlm.models.inventory import folders_below, inventory

    found, failed = [], 0
    for folder in (it for one in folders for it in folders_below(one)):
        try:
            found.append(inventory(folder))
        except WeightsError as error:
            failed += 1
            note(f"Error: {error}")
    if not found and not failed:
        raise AssistantError(f"no model and no adapter in {', '.join(map(str, folders))}")
    if as_json:
        say_json([_described(it) for it in found])
        return
    for it in found:
        say(f"{it.folder}: {_kind(it)}, {_gigabytes(it.size_bytes)}")


def show_folder(folder: Path, *, as_json: bool) -> None:
    """Print the contents of a folder.

    Raises:
        WeightsError: it has neither a model nor an adapter, or a file in it is invalid.
    """
    from ...vlm.models.inventory import ModelInventory, inventory

    held = inventory(folder)
    if as_json:
        say_json(_described(held))
        return
    say(f"{folder}: {_kind(held)}")
    for line in _of_model(held) if isinstance(held, ModelInventory) else _of_adapter(held):
        say(line)


def as_values(held: Any) -> dict[str, Any]:
    """Return a dataclass as JSON values."""
    return json.loads(json.dumps(asdict(held), default=str))  # type: ignore[no-any-return]


def _described(held: ModelInventory | AdapterInventory) -> dict[str, Any]:
    from ...vlm.models.inventory import ModelInventory

    if isinstance(held, ModelInventory):
        return {"kind": "model", **as_values(held), "fits": _fits(held)}
    return {"kind": "adapter", **as_values(held)}


def _kind(held: ModelInventory | AdapterInventory) -> str:
    from ...vlm.models.inventory import ModelInventory

    weights = f"{held.weights / 10**6:,.1f} million weights in {' and '.join(held.precisions)}"
    if isinstance(held, ModelInventory):
        return f"a model of {weights}" + (f", and {_lora(held.lora)}" if held.lora else "")
    return f"an adapter for {held.base}, {_lora(held.lora)}, {weights}"


def _lora(lora: Lora) -> str:
    where = "all linear layers" if lora.all_linear else "queries and values"
    where += " of the language model" + (" and on the vision tower" if lora.tower else "")
    return f"LoRA of rank {lora.rank}, alpha {lora.alpha}, on {where}"


def _of_model(held: ModelInventory) -> list[str]:
    fits = _fits(held)
    sizes = [
        f"{name} {_gigabytes(size)}{'' if fits[name] else ' (too large)'}"
        for name, size in held.memory_bytes.items()
    ]
    return [
        f"language model: {held.language_model}",
        f"vision tower: {held.vision_tower}, images of {held.image_size} x {held.image_size} pixels",
        f"asked in the form of: {held.prompt_form}",
        f"on disk: {_gigabytes(held.size_bytes)}",
        f"memory of {_device()}: {', '.join(sizes)}",
        *(f"made from: {name}, sha256 {sha256}" for name, sha256 in held.sources.items()),
    ]


def _of_adapter(held: AdapterInventory) -> list[str]:
    known = f", fingerprint {held.base_fingerprint}" if held.base_fingerprint else ""
    here = f"in {held.base_folder}" if held.base_folder else "not found: name its folder with --base"
    return [
        f"base: {held.base}{known}",
        f"base folder: {here}",
        f"calibrated: {'yes' if held.calibrated else 'no'}",
        f"on disk: {_gigabytes(held.size_bytes)}",
    ]


def _fits(held: ModelInventory) -> dict[str, bool]:
    """Return whether the weights leave room for answers on the default device, by precision."""
    from ...vlm.engine.memory import fits
    from ...vlm.engine.precision import default_device

    return {name: fits(size, default_device(), free=False) for name, size in held.memory_bytes.items()}


def _device() -> str:
    from ...vlm.engine.memory import gigabytes, memory_of
    from ...vlm.engine.precision import default_device

    return f"{default_device()} ({gigabytes(memory_of(default_device())[1])})"


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB" if size >= 10**8 else f"{size / 10**6:.1f} MB"
