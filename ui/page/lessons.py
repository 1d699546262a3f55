"""Good answers in the form of a person's own training data, which docs/own-data.md describes.

Not every answer fits: one about a part of the picture where the task has no place for a region, one that says
the same phrase twice, or found nothing. Those are left out.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from assistant.storage import SessionStore, StoredImage, StoredStep, StoredTurn
from assistant.storage.records import distinct_images
from assistant.vlm.grounding import BINS, Box, GroundedPhrase, parse
from assistant.vlm.tasks import Task

Line = dict[str, Any]


def good_answers(store: SessionStore, session_id: str) -> bytes:
    """Return the answers of a session with a thumb up, as an archive: `own.jsonl` and its pictures."""
    good = [turn for turn in store.turns(session_id) if turn.feedback == 1]
    files = {image: store.image_path(image.sha256) for image in distinct_images(good)}
    lines = []
    for turn in good:
        named = {"image": files[turn.image].name} if turn.image else {}
        lines += [json.dumps(named | line, ensure_ascii=False) for line in lessons(turn)]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("own.jsonl", "".join(f"{line}\n" for line in lines))
        for file in files.values():
            archive.write(file, file.name)
    return buffer.getvalue()


def lessons(turn: StoredTurn) -> list[Line]:
    """Return a line for each step of a turn that something can be learnt from, without its picture."""
    lines = (_lesson(step, turn.image) for step in turn.steps if step.error is None and step.raw.strip())
    return [line for line in lines if line is not None]


def _lesson(step: StoredStep, image: StoredImage | None) -> Line | None:
    task = Task(step.task) if step.task else None
    if task and image is None:
        return None
    line: Line = {"task": task} if task else {}
    if step.argument and task not in (Task.CAPTION, Task.IDENTIFY):
        line["ask"] = step.argument
    if step.region:
        if image is None or task in (Task.CAPTION, Task.GROUNDING):
            return None
        line["region"] = _pixels(step.region, image)
    if task not in (Task.REFER, Task.DETECTION, Task.GROUNDING):
        return {**line, "answer": step.raw}
    if not step.phrases or image is None:
        return None
    if task is Task.REFER:
        boxes = [box for phrase in step.phrases for box in phrase.boxes]
        return {**line, "answer": [_pixels(boxes[0], image)]} if len(boxes) == 1 else None
    if task is Task.DETECTION:
        return {**line, "answer": _named(step.phrases, image)}
    said = parse(step.raw)
    if any(said.text.find(phrase.text) != phrase.start for phrase in said.phrases):
        return None
    return {**line, "answer": said.text, "boxes": _named(said.phrases, image)}


def _named(phrases: Iterable[GroundedPhrase], image: StoredImage) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {}
    for phrase in phrases:
        found.setdefault(phrase.text, []).extend(_pixels(box, image) for box in phrase.boxes)
    return found


def _pixels(box: Box, image: StoredImage) -> list[float]:
    """Return the corners in pixels, within their hundredths, where rounding keeps them and none is empty."""
    x0, y0 = (min(corner + 0.25, BINS - 0.25) / BINS for corner in (box.x0, box.y0))
    x1, y1 = (min(corner + 0.75, BINS) / BINS for corner in (box.x1, box.y1))
    return [x0 * image.width, y0 * image.height, x1 * image.width, y1 * image.height]


__all__ = ["good_answers", "lessons"]
