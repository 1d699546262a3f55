"""The mean of adapters from one training, often better than each of them.

Models that were tuned from one another lie in one valley of the loss, and their mean nearer to its middle
(model soups, Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..bases import BASE
from ..errors import WeightsError
from ..model_folder import read_adapter
from ..tensors import Tensors, read_tensors

# Cosine of two adapters' factors. Of one training it is near 1; LoRA that was drawn anew has one near 0.
_RELATED = 0.5


def average_adapters(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of adapters, weight by weight, as an adapter in the new folder `out`.

    They are to come from one another: the mean of LoRA's factors is that of what they do only where these
    are alike.

    Raises:
        WeightsError: there are fewer than two, one cannot be read, they are of different shapes or models,
            or of trainings that have nothing in common; `out` is there already or cannot be written.
    """
    if len(folders) < 2:
        raise WeightsError("a mean wants two adapters or more: name another folder")
    if out.exists():
        raise WeightsError(f"{out} is there already: name a new folder")
    first, *others = ((folder, _read(folder)) for folder in folders)
    for other in others:
        _check_related(first, other)
    everyone = [weights for _, weights in (first, *others)]
    mean = {
        name: torch.stack([weights[name].float() for weights in everyone]).mean(0).to(tensor.dtype)
        for name, tensor in everyone[0].items()
    }
    try:
        _write(mean, folders[0] / CONFIG_NAME, out)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{out} cannot be written: {error}") from error


def _read(folder: Path) -> Tensors:
    return read_tensors([folder / SAFETENSORS_WEIGHTS_NAME])


def _check_related(one: tuple[Path, Tensors], other: tuple[Path, Tensors]) -> None:
    """Refuse adapters whose mean would mean nothing."""
    shapes = [
        (_shape(folder), {name: tensor.shape for name, tensor in weights.items()})
        for folder, weights in (one, other)
    ]
    if shapes[0] != shapes[1]:
        raise WeightsError(f"{one[0]} and {other[0]} are adapters of different shapes or models")
    mine, theirs = (
        torch.cat([weights[name].float().flatten() for name in one[1] if "lora_A" in name])
        for weights in (one[1], other[1])
    )
    if torch.cosine_similarity(mine, theirs, dim=0) < _RELATED:
        raise WeightsError(f"{one[0]} and {other[0]} do not come from one training: their mean does nothing")


def _shape(folder: Path) -> tuple[object, ...]:
    settings = read_adapter(folder)
    return settings.base_model_name_or_path, settings.r, settings.lora_alpha, settings.target_modules


def _write(weights: Tensors, config: Path, out: Path) -> None:
    """Write an adapter whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        written = Path(scratch) / out.name
        written.mkdir()
        save_file(weights, written / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
        shutil.copyfile(config, written / CONFIG_NAME)
        if (base := config.with_name(BASE)).is_file():
            shutil.copyfile(base, written / BASE)
        written.rename(out)


__all__ = ["average_adapters"]
