"""Export good answers and corrected boxes as training data in the format of docs/own-data.md.

Left out: answers about a region for tasks that take none, grounded captions whose phrase occurs twice, and
detections that found nothing.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from assistant.storage import LabelledBox, SessionStore, StoredImage, StoredStep, StoredTurn
from assistant.storage.records import distinct_images
from assistant.vlm.grounding import BINS, Box, GroundedPhrase, parse
from assistant.vlm.tasks import ABSENT_ANSWER, BOX_TASKS, TAKES_NO_ARGUMENT, Task

Line = dict[str, Any]


def good_answers(store: SessionStore, session_id: str) -> bytes:
    """Return a zip archive of `own.jsonl` and its images, with the training lines of a session."""
    good = [turn for turn in store.turns(session_id) if training_lines(turn)]
    files = {image: store.image_path(image.sha256) for image in distinct_images(good)}
    lines = []
    for turn in good:
        named = {"image": files[turn.image].name} if turn.image else {}
        lines += [json.dumps(named | line, ensure_ascii=False) for line in training_lines(turn)]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("own.jsonl", "".join(f"{line}\n" for line in lines))
        for file in files.values():
            archive.write(file, file.name)
    return buffer.getvalue()


def training_lines(turn: StoredTurn) -> list[Line]:
    """Return the training lines of a turn, without the `image` key.

    They come from its corrected boxes, or from each step of an answer with a thumb up.
    """
    if turn.corrections is not None:
        return _corrected(turn, turn.corrections)
    if turn.feedback != 1:
        return []
    lines = (
        _training_line(step, turn.image) for step in turn.steps if step.error is None and step.raw.strip()
    )
    return [line for line in lines if line is not None]


def _corrected(turn: StoredTurn, boxes: tuple[LabelledBox, ...]) -> list[Line]:
    """Return a line for the question if it asked for objects, else a detection line for all boxes."""
    steps = [step for step in turn.steps if step.task in (Task.REFER, Task.DETECTION)]
    asked = steps[0].argument if len(turn.steps) == len(steps) == 1 and not turn.region else ""
    if asked and not boxes:
        return [{"task": steps[0].task, "ask": asked, "answer": ABSENT_ANSWER}]
    if asked and len(boxes) == 1 and steps[0].task == Task.REFER:
        return [{"task": Task.REFER, "ask": asked, "answer": [list(boxes[0].corners)]}]
    named: dict[str, list[list[float]]] = {}
    for box in boxes:
        named.setdefault(box.name, []).append(list(box.corners))
    if not named:
        return []
    line = {"task": Task.DETECTION, "answer": named}
    return [line | ({"ask": asked} if asked else {})]


def _training_line(step: StoredStep, image: StoredImage | None) -> Line | None:
    task = Task(step.task) if step.task else None
    if task and image is None:
        return None
    line: Line = {"task": task} if task else {}
    if step.argument and task not in TAKES_NO_ARGUMENT:
        line["ask"] = step.argument
    if step.region:
        if image is None or task in (Task.CAPTION, Task.GROUNDING):
            return None
        line["region"] = _pixels(step.region, image)
    if task not in BOX_TASKS:
        return {**line, "answer": step.raw}
    if not step.phrases or image is None:
        return None
    if task is Task.REFER:
        return {**line, "answer": [_pixels(step.boxes[0], image)]} if len(step.boxes) == 1 else None
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
    """Return corners in pixels, inset so that they round back to the same bins and no box is empty."""
    x0, y0 = (min(corner + 0.25, BINS - 0.25) / BINS for corner in (box.x0, box.y0))
    x1, y1 = (min(corner + 0.75, BINS) / BINS for corner in (box.x1, box.y1))
    return [x0 * image.width, y0 * image.height, x1 * image.width, y1 * image.height]
