"""Store records on disk, grouped by image, for random access to millions of them.

A dataset is streamed once into a cache folder: `records.jsonl`, the offset of each record, and the groups of
records that share an image. Later runs, and all processes of a run, open that folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from filelock import FileLock
from pydantic import TypeAdapter

from ..atomic import replacing
from ..errors import DataError
from .records import Record
from .skipped_rows import SkippedRows
from .sources.base import Source, read_records, require
from .sources.own import OwnRecords

logger = logging.getLogger(__name__)

_RECORD = TypeAdapter(Record)
# Part of the cache key: increase it when readers turn the same files into other records.
FORM = 3

_RECORDS, _OFFSETS, _STARTS = "records.jsonl", "offsets.npy", "starts.npy"
_SKIPPED = "skipped.json"

State: TypeAlias = list[int] | None
"""Size and modification time of a file, None if it is missing."""


@dataclass(frozen=True)
class RecordFile:
    """A folder of records; `len` counts images, and each record without an image."""

    folder: Path
    offsets: np.ndarray[Any, np.dtype[np.int64]]
    starts: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def open(cls, folder: Path) -> RecordFile:
        """Open a folder of `write_records`; the index is memory-mapped."""
        return cls(
            folder,
            np.load(folder / _OFFSETS, mmap_mode="r"),
            np.load(folder / _STARTS, mmap_mode="r"),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def records_of(self, number: int) -> list[Record]:
        """Return the records of an image, in the order of the dataset."""
        offsets = self.offsets[self.starts[number] : self.starts[number + 1]]
        with (self.folder / _RECORDS).open("rb") as file:
            found = []
            for offset in offsets:
                file.seek(int(offset))
                found.append(_RECORD.validate_json(file.readline()))
        return [record for record in found if record.picture == found[0].picture]


def cached_records(source: Source, cache: Path, *, skip_broken: bool = False) -> RecordFile:
    """Open the cached records of a source, reading it first if needed; other processes wait meanwhile.

    A source is read again when the size or time of one of its files changes, or of an image for which rows
    were skipped; records written by hand also when one of their images changes.

    Raises:
        DataError: a row is invalid, there are none, or the cache cannot be written.
    """
    folder = cache / _key(source, skip_broken)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = _current_folder(folder)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                with replacing(folder) as partial:
                    _write_source(source, partial, skip_broken)
            SkippedRows(source.files()[0], json.loads((folder / _SKIPPED).read_text())["count"]).log_total()
            return RecordFile.open(folder)
    except OSError as error:
        raise DataError(
            f"cannot write the records to {cache} ({error.strerror}): make room there, or set "
            "ASSISTANT_CACHE to another folder"
        ) from error


def _write_source(source: Source, folder: Path, skip_broken: bool) -> None:
    skipped = SkippedRows(source.files()[0])
    images = skipped.pictures
    records = read_records(source, skipped if skip_broken else None)
    write_records(_note_images(records, images) if isinstance(source, OwnRecords) else records, folder)
    pictures = {str(path): _state(path) for path in sorted(images)}
    (folder / _SKIPPED).write_text(json.dumps({"count": skipped.count, "pictures": pictures}))


def _note_images(records: Iterable[Record], pictures: set[Path]) -> Iterator[Record]:
    """Yield the records and add their images to a set: a new image changes what boxes in pixels mean."""
    for record in records:
        if record.picture is not None:
            pictures.add(Path(record.picture.path))
        yield record


def _current_folder(folder: Path) -> Path:
    """Return the folder, or the one for the current state of the images that it depends on."""
    while folder.is_dir():
        before: dict[str, State] = json.loads((folder / _SKIPPED).read_text())["pictures"]
        now = {path: _state(Path(path)) for path in before}
        if now == before:
            break
        folder = folder.with_name(_hash(folder.name, sorted(now.items())))
    return folder


def _key(source: Source, skip_broken: bool) -> str:
    if isinstance(source, OwnRecords):
        next(source.rows(), None)  # says what is wrong with the file
    files = [(str(file), _state(require(file))) for file in source.files()]
    return _hash(FORM, source, files, skip_broken)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _state(path: Path) -> State:
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def write_records(records: Iterable[Record], folder: Path) -> None:
    """Write records and their index into a new folder.

    Raises:
        DataError: there is no record.
    """
    folder.mkdir()
    offsets, pictures = array("q"), array("Q")
    with (folder / _RECORDS).open("wb") as file:
        for number, record in enumerate(records):
            offsets.append(file.tell())
            pictures.append(_image_key(record, number))
            file.write(_RECORD.dump_json(record, exclude_defaults=True) + b"\n")
    if not offsets:
        raise DataError("the dataset holds no record to train on")
    # Group records by image, which is then read and encoded once for all of them.
    order = np.argsort(np.frombuffer(pictures, dtype=np.uint64), kind="stable")
    firsts = np.flatnonzero(np.diff(np.frombuffer(pictures, dtype=np.uint64)[order])) + 1
    np.save(folder / _OFFSETS, np.frombuffer(offsets, dtype=np.int64)[order])
    np.save(folder / _STARTS, np.concatenate([[0], firsts, [len(offsets)]]).astype(np.int64))
    logger.info("%d records over %d images", len(offsets), len(firsts) + 1)


def _image_key(record: Record, number: int) -> int:
    """Return a hash that is the same for all records of an image."""
    image = record.picture
    key = str(number) if image is None else f"{image.path}\n{image.offset}"
    if image is not None and image.part is not None:
        key += f"\n{image.part.bins}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
