"""Write a model folder atomically, with the hashes of its sources."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..errors import WeightsError, one_line
from .tensor_files import sha256_of

PROVENANCE = "provenance.json"
# The largest file of weights, in bytes; twice as much is held in memory while it is written.
SHARD = 2 * 2**30
_DISK_FULL = re.compile(rf"(?:Errno|os error) (?:{errno.ENOSPC}|{errno.EDQUOT}|{errno.EFBIG})\b")

Tell = Callable[[int, int], None]
"""Receives the bytes done and the total."""


class WrittenFolder:
    """Writes to a temporary folder next to the target, and renames it on a clean exit.

    Raises:
        WeightsError: the disk has less space than the sources take, or writing failed; nothing is left.
    """

    def __init__(self, folder: Path, sources: Sequence[Path], tell: Tell | None = None) -> None:
        self.path = folder.with_name(f"{folder.name}.partial")
        self._folder = folder
        self._sources = sources
        self._tell = tell
        self._done = 0
        # Each byte is read to be hashed and written once.
        self._all = 2 * sum(path.stat().st_size for path in sources)

    def __enter__(self) -> Self:
        try:
            shutil.rmtree(self.path, ignore_errors=True)  # of a run that was killed
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            require_room(self._folder, self._all // 2)
            self.path.mkdir()
        except OSError as error:
            raise WeightsError(f"cannot write {self._folder}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self.path.rename(self._folder)
            except OSError as failure:
                error = failure
            else:
                return
        shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise self._failed(error) from error

    def add_tensors(self, tensors: Iterable[tuple[str, torch.Tensor]], largest: int = SHARD) -> None:
        """Write weights to files of at most `largest` bytes (or one larger weight), and their index."""
        shard: dict[str, torch.Tensor] = {}
        index: dict[str, str] = {}
        size = total = 0
        for name, tensor in tensors:
            if shard and size + tensor.nbytes > largest:
                self._write(shard, index)
                shard, size = {}, 0
            shard[name] = tensor.contiguous()
            size, total = size + tensor.nbytes, total + tensor.nbytes
        self._write(shard, index)
        content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
        self._write_json("model.safetensors.index.json", content)

    def describe(self, values: Mapping[str, object]) -> None:
        """Record the folder's origin: `values`, and the hashes of the sources and of its own weights."""
        sources = {}
        for path in self._sources:
            sources[path.name] = sha256_of(path)
            self._progress(path.stat().st_size)
        files = {
            str(path.relative_to(self.path)): sha256_of(path)
            for path in sorted(self.path.rglob("*.safetensors"))
        }
        self._write_json(PROVENANCE, {**values, "sources": sources, "files": files})

    def _write(self, shard: Mapping[str, torch.Tensor], index: dict[str, str]) -> None:
        name = f"model-{len(set(index.values())) + 1:05}.safetensors"
        save_file(dict(shard), self.path / name, metadata={"format": "pt"})
        index |= dict.fromkeys(shard, name)
        self._progress(sum(tensor.nbytes for tensor in shard.values()))

    def _write_json(self, name: str, content: object) -> None:
        (self.path / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _progress(self, size: int) -> None:
        self._done = min(self._done + size, self._all)
        if self._tell is not None:
            self._tell(self._done, self._all)

    def _failed(self, error: Exception) -> WeightsError:
        if _DISK_FULL.search(str(error)):
            needed = _gigabytes(self._all // 2)
            return WeightsError(
                f"the disk is full: {self._folder} takes {needed}; nothing was left, make room"
            )
        return WeightsError(f"cannot write {self._folder}: {one_line(error)}")


def require_room(path: Path, needed: int) -> None:
    """Check that the disk has as many bytes free as a new file or folder will take.

    Raises:
        WeightsError: it does not.
        OSError: the parent folder is missing.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise WeightsError(
            f"{path} will take {_gigabytes(needed)}, {_gigabytes(free)} are free: make room, or name a place "
            "on another disk"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
