"""Read untrusted weight files, safetensors or PyTorch, without running code."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from ..errors import WeightsError, one_line

Tensors = dict[str, torch.Tensor]
ValueT = TypeVar("ValueT")

_FLOATS = ("BF16", "F16", "F32", "F64")


def read_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of safetensors files without reading them.

    Raises:
        WeightsError: a file cannot be read, or a tensor does not hold floats.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        for name, part in _each(path, lambda file, name: file.get_slice(name)).items():
            if part.get_dtype() not in _FLOATS:
                raise WeightsError(f"{path}: {name!r:.200} holds {part.get_dtype()}, weights are floats")
            shapes[name] = tuple(part.get_shape())
    return shapes


def read_tensors(files: Iterable[Path]) -> Tensors:
    """Return all tensors of safetensors files, memory-mapped on the CPU.

    Raises:
        WeightsError: a file cannot be read.
    """
    return {
        name: it for path in files for name, it in _each(path, lambda f, name: f.get_tensor(name)).items()
    }


class TensorFile(Mapping[str, torch.Tensor]):
    """The tensors of a file by name; each is read and checked on access.

    Of a training checkpoint, only the weights under `model` are read; `settings` is its model configuration.

    Raises:
        WeightsError: the file cannot be read, is not a flat file of tensors, or a value is not finite.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[str, Any] = {}
        self._tensors: Tensors | None = None
        if path.suffix == ".safetensors":
            self._shapes = _each(path, lambda file, name: tuple(file.get_slice(name).get_shape()))
            return
        state, self.settings = _read_torch(path)
        self._tensors = state
        self._shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        return self._shapes[name]

    def __getitem__(self, name: str) -> torch.Tensor:
        if self._tensors is not None:
            tensor = self._tensors[name]
        else:
            # Opened for each tensor: an open file keeps every page it read in memory.
            with safe_open(self.path, "pt") as file:
                tensor = file.get_tensor(name).clone()
        if not tensor.is_floating_point():
            raise WeightsError(f"{self.path}: {name} holds {tensor.dtype}, weights are floats")
        if not tensor.isfinite().all():
            raise WeightsError(f"{self.path}: {name} holds NaN or Inf: take another copy of the file")
        return tensor


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Prefix errors with the path of the file."""
    try:
        yield
    except WeightsError as error:
        if str(path) in str(error):
            raise
        raise WeightsError(f"{path}: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _each(path: Path, take: Callable[[Any, str], ValueT]) -> dict[str, ValueT]:
    """Return `take(file, name)` for each tensor of a safetensors file."""
    _require(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: take(file, name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {one_line(error)}; copy it again") from error


def _require(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"there is no file {path}: copy it again")


def _read_torch(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Return the named tensors of a file of `torch.save`, and the model's settings in it."""
    _require(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch.load raises many kinds, and its advice is unsafe
        raise WeightsError(
            f"{path} cannot be read as a file of tensors: it broke off, or holds more than tensors; copy it "
            "again"
        ) from error
    settings: Any = None
    if isinstance(held, dict) and isinstance(held.get("model"), dict):
        configuration = held.get("config")
        settings = configuration.get("model") if isinstance(configuration, dict) else None
        held = held["model"]
    if not isinstance(held, dict) or not all(isinstance(value, torch.Tensor) for value in held.values()):
        raise WeightsError(f"{path} is not a flat file of named tensors")
    tensors = {str(name): tensor for name, tensor in held.items()}
    return tensors, settings if isinstance(settings, dict) else {}
