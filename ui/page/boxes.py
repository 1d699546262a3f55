"""Which boxes of a conversation are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant.storage import StoredImage, StoredTurn
from assistant.vlm.grounding import Box, GroundedPhrase


def found_phrases(turn: StoredTurn, least_score: float = 0.0) -> tuple[GroundedPhrase, ...]:
    """Return every phrase of a turn with its boxes; those whose score is known to be too low are left out."""
    phrases = (
        replace(phrase, boxes=tuple(box for box in phrase.boxes if _is_sure(box, least_score)))
        for step in turn.steps
        for phrase in step.phrases
    )
    return tuple(phrase for phrase in phrases if phrase.boxes)


def _is_sure(box: Box, least_score: float) -> bool:
    return box.score is None or box.score >= least_score


def turn_with_boxes(
    turns: Sequence[StoredTurn], image: StoredImage | None = None, number: int | None = None
) -> StoredTurn | None:
    """Return the turn of that number or else the newest that has boxes, on `image` if one is named."""
    having = [turn for turn in turns if turn.image and image in (None, turn.image) and found_phrases(turn)]
    return next((turn for turn in having if turn.number == number), having[-1] if having else None)


__all__ = ["found_phrases", "turn_with_boxes"]
