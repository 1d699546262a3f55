"""LAION and CC3M + CC12M + SBU: tar shards of img2dataset with `KEY.jpg` and `KEY.txt`.

The captions were generated and filtered by BLIP, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...tasks import Task
from ..records import Record, TaskTurn
from .base import Row
from .shards import Entry, shard_files, shard_rows


@dataclass(frozen=True)
class WebPairs:
    """A folder of shards, with one caption per image."""

    path: Path

    def files(self) -> list[Path]:
        """Return the shards."""
        return shard_files(self.path)

    def rows(self) -> Iterator[Row]:
        """Yield the entries of all shards."""
        return shard_rows(self.path, "txt")

    def records(self, content: Entry) -> Iterator[Record]:
        """Return the caption of an entry."""
        caption = content.text.decode("utf-8").strip()
        yield Record(content.picture, (TaskTurn(Task.CAPTION, "", caption),))


__all__ = ["WebPairs"]
