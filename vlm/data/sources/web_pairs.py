"""LAION and CC3M + CC12M + SBU: tar shards of img2dataset with `KEY.jpg` and `KEY.txt`.

The captions were generated and filtered by BLIP, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...tasks import Task
from ..records import Record, TaskTurn
from .shards import Entry, ShardFolder


class WebPairs(ShardFolder):
    """A folder of shards, with one caption per image."""

    annotation = "txt"

    def records(self, content: Entry) -> Iterator[Record]:
        """Return the caption of an entry."""
        caption = content.text.decode("utf-8").strip()
        yield Record(content.picture, (TaskTurn(Task.CAPTION, "", caption),))
