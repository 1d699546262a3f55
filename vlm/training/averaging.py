"""Average adapters that were fine-tuned from one another; the mean is often better than each of them.

Models fine-tuned from one another share a basin of the loss, and their mean lies closer to its centre (model
soups, Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..atomic import replacing
from ..errors import WeightsError
from ..folders.base_note import BASE
from ..folders.reading import read_adapter
from ..folders.tensor_files import Tensors, read_tensors

# Cosine of two adapters' LoRA factors: near 1 within one training, near 0 for separate initialisations.
_RELATED = 0.5


def average_adapters(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of adapters, weight by weight, as an adapter in the new folder `out`.

    They must be fine-tuned from one another: averaging LoRA's factors averages their products only if the
    factors are similar.

    Raises:
        WeightsError: there are fewer than two, one cannot be read, they have different shapes or models, or
            come from unrelated trainings; `out` exists or cannot be written.
    """
    if len(folders) < 2:
        raise WeightsError("averaging needs two adapters or more: name another folder")
    if out.exists():
        raise WeightsError(f"{out} exists: name a new folder")
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
    """Refuse adapters whose mean is meaningless."""
    shapes = [
        (_shape(folder), {name: tensor.shape for name, tensor in weights.items()})
        for folder, weights in (one, other)
    ]
    if shapes[0] != shapes[1]:
        raise WeightsError(f"{one[0]} and {other[0]} have different shapes or models")
    mine, theirs = (
        torch.cat([weights[name].float().flatten() for name in one[1] if "lora_A" in name])
        for weights in (one[1], other[1])
    )
    if torch.cosine_similarity(mine, theirs, dim=0) < _RELATED:
        raise WeightsError(f"{one[0]} and {other[0]} come from unrelated trainings: their mean is useless")


def _shape(folder: Path) -> tuple[object, ...]:
    settings = read_adapter(folder)
    return settings.base_model_name_or_path, settings.r, settings.lora_alpha, settings.target_modules


def _write(weights: Tensors, config: Path, out: Path) -> None:
    """Write an adapter atomically."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as written:
        written.mkdir()
        save_file(weights, written / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
        shutil.copyfile(config, written / CONFIG_NAME)
        if (base := config.with_name(BASE)).is_file():
            shutil.copyfile(base, written / BASE)
