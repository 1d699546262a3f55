"""Run suites on a dataset and build the report."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from ..answers import Generation, Request
from ..engine.base import ranker_of
from ..grounding import parse
from ..tasks import Task
from ..vision_language_model import VisionLanguageModel
from .captions import caption_scorers
from .items import EvaluationSet, Item, Suite
from .provenance import provenance
from .text_suites import caption_score

BATCH = 32

Progress = Callable[[str, int, int], None]
"""Called with the suite, the number of answered items, and the number of all items."""
SaveReport = Callable[[dict[str, Any]], None]
"""Called with the report so far: before the first suite and after each one."""


def evaluate(
    model: VisionLanguageModel,
    data: EvaluationSet,
    limit: int | None = None,
    progress: Progress | None = None,
    save: SaveReport | None = None,
) -> dict[str, Any]:
    """Return a report: measures by suite with their intervals, all answers, and the provenance.

    `limit` is the maximum number of items per suite, sampled with a fixed seed. `unfinished` lists the suites
    still to run, so that the report of a stopped run says what is missing.

    Raises:
        DataError: an image cannot be read.
        AssistantError: there is a caption suite, and its scorers are not installed; raised before the model
            runs.
    """
    suites = {
        name: replace(suite, items=sample_items(suite.items, limit)) for name, suite in data.suites.items()
    }
    if any(suite.score is caption_score for suite in suites.values()):
        caption_scorers()
    report: dict[str, Any] = {
        **provenance(model.name),
        "data": {"name": data.name, "split": data.split, "pictures": data.pictures, "limit": limit},
        "unfinished": list(suites),
        "tasks": {},
    }
    for name, suite in suites.items():
        if save is not None:
            save(report)
        report["tasks"][name] = _run(model, data, name, suite, progress)
        report["unfinished"].remove(name)
    if save is not None:
        save(report)
    return report


def _run(
    model: VisionLanguageModel, data: EvaluationSet, name: str, suite: Suite, progress: Progress | None
) -> dict[str, Any]:
    start = time.perf_counter()
    answers: dict[int, Generation] = {}
    for batch in _batches(suite.items):
        requests = [
            replace(suite.items[index].request, image=data.read(suite.items[index].image)) for index in batch
        ]
        choices = [suite.items[index].choices for index in batch]
        answers |= zip(batch, _answers(model, requests, choices), strict=True)
        if progress is not None:
            progress(name, len(answers), len(suite.items))
    ordered = [answers[index] for index in range(len(suite.items))]
    scored = suite.score(suite.items, ordered)
    return {
        "items": len(suite.items),
        "seconds": round(time.perf_counter() - start, 1),
        "measures": {measure: asdict(figure) for measure, figure in scored.measures.items()},
        "cut": sum(not answer.complete for answer in ordered),
        "notes": list(scored.notes),
        "answers": [_row(*row) for row in zip(suite.items, ordered, scored.qualities, strict=True)],
    }


def _answers(
    model: VisionLanguageModel, requests: Sequence[Request], choices: Sequence[Sequence[str]]
) -> list[Generation]:
    """Answer the requests: those with choices by the likeliest choice, if the engine can rank."""
    ranker = ranker_of(model.engine)
    if ranker is None or not any(choices):
        return model.generate(requests)
    answers = []
    for request, offered in zip(requests, choices, strict=True):
        start = time.perf_counter()
        if offered:
            losses = ranker.rank(request, offered)
            likeliest = parse(offered[losses.index(min(losses))])
            answers.append(Generation(likeliest, time.perf_counter() - start))
        else:
            answers += model.generate([request])
    return answers


def sample_items(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """Sample at most `limit` items with a fixed seed."""
    if limit is None or limit >= len(items):
        return items
    return [items[index] for index in sorted(random.Random(0).sample(range(len(items)), limit))]


def _batches(items: Sequence[Item]) -> Iterator[Sequence[int]]:
    """Yield batches of item indices, grouped by task: a batch decodes until its longest answer ends."""
    tasks: list[Task | None] = [item.request.task for item in items]
    order = sorted(range(len(items)), key=lambda index: tasks.index(tasks[index]))
    return (order[start : start + BATCH] for start in range(0, len(order), BATCH))


def _row(item: Item, answer: Generation, quality: float) -> dict[str, Any]:
    return {
        "image": item.image,
        "asked": item.request.turns[-1].user,
        "raw": answer.raw,
        "wanted": list(item.texts),
        "wanted_boxes": [box.bins for box in item.boxes],
        "scores": [box.score for box in answer.grounded.boxes],
        "quality": round(quality, 4),
    }
