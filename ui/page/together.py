"""Show the answers to one question about several pictures side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from assistant.storage import StoredImage, StoredTurn
from assistant.storage.records import labelled_boxes
from assistant.vlm.tasks import Task


def asked_alike(turns: Sequence[StoredTurn], last: int) -> list[StoredTurn]:
    """Return the run of turns ending at `last` with the same question; empty if the run goes on after it."""
    found: list[StoredTurn] = []
    for turn in reversed(turns[: last + 1]):
        if turn.image is None or turn.user != turns[last].user or turn.image in [one.image for one in found]:
            break
        found.insert(0, turn)
    following = turns[last + 1] if last + 1 < len(turns) else None
    if following and following.user == turns[last].user:
        return found if following.image in [turn.image for turn in found] else []
    return found


def show(turns: Sequence[StoredTurn], pictures: Sequence[StoredImage]) -> None:
    """Show the answers of `turns` in one table; rows are numbered by position in `pictures`."""
    numbers = {image: number for number, image in enumerate(pictures, 1)}
    rows = "".join(_row(turn, numbers[turn.image]) for turn in turns if turn.image)
    with st.chat_message("assistant", avatar=":material/compare:"):
        st.markdown(verdict(turns, numbers))
        st.html(f'<table class="together"><tbody>{rows}</tbody></table>')


def verdict(turns: Sequence[StoredTurn], numbers: dict[StoredImage, int]) -> str:
    """Return one line that names the pictures with the object, or a plain heading for other tasks."""
    if not all(step.task in (Task.REFER, Task.DETECTION) for turn in turns for step in turn.steps):
        return f"All {len(turns)} pictures:"
    found = [str(numbers[turn.image]) for turn in turns if turn.image and labelled_boxes(turn)]
    if not found:
        return f"Found in none of the {len(turns)} pictures:"
    if len(found) == len(turns):
        return f"Found in all {len(turns)} pictures:"
    return f"Found in picture{'s' if len(found) > 1 else ''} {' and '.join(found)} of {len(turns)}:"


def _row(turn: StoredTurn, number: int) -> str:
    sha256 = turn.image.sha256 if turn.image else ""
    picture = f'<img src="thumbnails/{sha256}" alt="Picture {number}" width="64" height="48">'
    return f'<tr><th scope="row">{picture} {number}</th><td>{html.escape(turn.answer)}</td></tr>'


__all__ = ["asked_alike", "show", "verdict"]
