"""Choose which boxes of a conversation to show."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from assistant.storage import SessionStore, StoredImage, StoredTurn
from assistant.storage.records import labelled_boxes
from assistant.vlm.drawing import draw
from assistant.vlm.grounding import Box, GroundedPhrase
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task


def phrases_of(turn: StoredTurn) -> list[GroundedPhrase]:
    """Return the boxes of a turn grouped by phrase, with a person's corrections applied."""
    found: dict[str, list[Box]] = {}
    for mark in labelled_boxes(turn):
        if turn.image:
            box = Box.from_pixels(*mark.corners, turn.image.width, turn.image.height)
            found.setdefault(mark.phrase, []).append(box.with_score(mark.score))
    return [GroundedPhrase(text, tuple(boxes)) for text, boxes in found.items()]


def drawn(store: SessionStore, turn: StoredTurn) -> Image.Image:
    """Return a copy of a turn's image with its boxes drawn on it."""
    assert turn.image is not None
    return draw(open_picture(store.image_path(turn.image.sha256)).image, phrases_of(turn))


def missing(turn: StoredTurn) -> tuple[str, ...]:
    """Return the phrases that a turn asked for and did not find."""
    if turn.stopped or turn.corrections is not None:
        return ()
    looked = [step for step in turn.steps if step.task in (Task.REFER, Task.DETECTION) and step.error is None]
    return tuple(step.argument or "it" for step in looked if not step.phrases)


def turn_with_boxes(
    turns: Sequence[StoredTurn], image: StoredImage | None = None, number: int | None = None
) -> StoredTurn | None:
    """Return the turn with that `number`, else the newest that has or misses boxes; on `image` if given.

    Without one, return the newest turn with an image: a person may draw what the model missed.
    """
    over = [turn for turn in turns if turn.image and image in (None, turn.image)]
    having = [turn for turn in over if labelled_boxes(turn) or missing(turn)]
    chosen = [turn for turn in over if turn.number == number]
    return next(reversed(chosen or having or over), None)
