"""Run the suites over a folder of annotated photos and report."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..answers import Generation
from ..data.photos import PhotoFolder
from ..errors import DataError
from ..tasks import Task
from ..vision_language_model import VisionLanguageModel
from .metrics import caption_scorers
from .suites import SUITES, Item

BATCH = 32

Progress = Callable[[Task, int, int], None]


def evaluate(
    model: VisionLanguageModel,
    folder: PhotoFolder,
    tasks: Sequence[Task],
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return a report: measures by task, each with its interval, and every answer.

    `limit` is the most items a task, drawn by a fixed seed.

    Raises:
        DataError: no photo has what a task needs; this is told before the model works.
        AssistantError: captions are asked for, and what scores them is not installed.
    """
    if Task.CAPTION in tasks:
        caption_scorers()
    items_of = {task: _items(folder, task, limit) for task in tasks}
    report: dict[str, Any] = {
        "model": model.name,
        "data": {"folder": folder.folder.name, "split": folder.split, "photos": len(folder.photos)},
        "tasks": {},
    }
    for task, items in items_of.items():
        start = time.perf_counter()
        answers: list[Generation] = []
        for batch in _batches(items):
            answers += _ask(model, folder, batch)
            if progress is not None:
                progress(task, len(answers), len(items))
        measures = SUITES[task].score(items, answers)
        report["tasks"][task.value] = {
            "items": len(items),
            "seconds": round(time.perf_counter() - start, 1),
            "measures": {name: asdict(measure) for name, measure in measures.items()},
            "cut": sum(not answer.complete for answer in answers),
            "answers": [_row(item, answer) for item, answer in zip(items, answers, strict=True)],
        }
    return report


def _items(folder: PhotoFolder, task: Task, limit: int | None) -> list[Item]:
    items = [item for photo in folder.photos for item in SUITES[task].items(photo)]
    if not items:
        raise DataError(f"no photo of {folder.folder} ({folder.split}) has what {task.identifier} needs")
    if limit is not None and limit < len(items):
        kept = sorted(random.Random(0).sample(range(len(items)), limit))
        items = [items[index] for index in kept]
    return items


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _ask(model: VisionLanguageModel, folder: PhotoFolder, batch: Sequence[Item]) -> list[Generation]:
    return model.generate([replace(item.request, image=folder.read(item.photo)) for item in batch])


def _row(item: Item, answer: Generation) -> dict[str, Any]:
    return {
        "image": item.photo.image,
        "asked": item.request.turns[-1].user,
        "raw": answer.raw,
        "wanted": _plain(item.wanted),
        "scores": [box.score for box in answer.grounded.boxes],
    }


def _plain(wanted: Any) -> Any:
    if isinstance(wanted, tuple):
        return [_plain(part) for part in wanted]
    if hasattr(wanted, "model_dump"):
        return wanted.model_dump()
    return asdict(wanted) if hasattr(wanted, "__dataclass_fields__") else wanted


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


__all__ = ["Progress", "evaluate", "write_report"]
