"""Read safetensors files, which hold nothing but tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from .errors import WeightsError, one_line

Tensors = dict[str, torch.Tensor]
ItemT = TypeVar("ItemT")

_FLOATS = ("BF16", "F16", "F32", "F64")


def read_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors without reading them.

    Raises:
        WeightsError: a file cannot be read, or a tensor is not of floats.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        for name, part in _each(path, lambda file, name: file.get_slice(name)).items():
            if part.get_dtype() not in _FLOATS:
                raise WeightsError(f"{path}: {name!r:.200} holds {part.get_dtype()}, weights are floats")
            shapes[name] = tuple(part.get_shape())
    return shapes


def read_tensors(files: Iterable[Path]) -> Tensors:
    """Return all tensors of the files, on the CPU.

    Raises:
        WeightsError: a file cannot be read.
    """
    return {
        name: it for path in files for name, it in _each(path, lambda f, name: f.get_tensor(name)).items()
    }


def _each(path: Path, take: Callable[[Any, str], ItemT]) -> dict[str, ItemT]:
    if not path.is_file():
        raise WeightsError(f"{path} cannot be read: there is no such file; copy the folder again")
    try:
        with safe_open(path, "pt") as file:
            return {name: take(file, name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {one_line(error)}; copy the folder again") from error


__all__ = ["Tensors", "read_shapes", "read_tensors"]
