"""Ask one question of several images, and show the answers side by side."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from assistant.agent.answer import UNSURE, listed
from assistant.agent.plan import MessagePlanner, Plan, PlanContext, Step
from assistant.agent.replies import SEVERAL
from assistant.storage import StoredImage, StoredTurn
from assistant.storage.records import labelled_boxes
from assistant.vlm.tasks import Task

# "Which of these images has a dog?" asks each image to find a dog.
_WHICH = re.compile(
    r"\s*(?:in )?which (?:ones?|(?:ones? )?of (?:them|these|those)"
    r"|(?:(?:ones? )?of (?:the|these|those) )?(?:\w+ )?(?:pictures?|images?|photos?))\s+"
    r"(?:has|have|shows?|contains?|(?:do|can) you see|(?:is|are) there)\s+(?P<thing>[^?]+)\??\s*",
    re.IGNORECASE,
)


# "Compare them", "What do these photos have in common?"
_ALL = re.compile(
    r"\bcompare (?:them|these|those|both|all)\b"
    r"|\b(?:compare|between|both|all|these|those|common|difference)\b.{0,30}\b(?:pictures|images|photos)\b"
    r"(?! (?:on|in|hanging)\b)",
    re.IGNORECASE,
)


def is_about_all(message: str) -> bool:
    """Return whether a question is about several images by its words."""
    return bool(_WHICH.fullmatch(message) or _ALL.search(message))


class PerPicturePlanner:
    """Plans a question about several images as a question about one of them.

    "Which of these has a dog?" finds a dog; a question that no image can answer by itself ("compare them")
    asks for a description.
    """

    def __init__(self, planner: MessagePlanner) -> None:
        self._planner = planner

    def plan(self, message: str, context: PlanContext) -> Plan:
        """Return the plan for one of the images."""
        if which := _WHICH.fullmatch(message):
            message = f"Find {which['thing'].strip()}"
        plan = self._planner.plan(message, context)
        is_compared = bool(_ALL.search(message))
        steps = tuple(
            Step(Task.CAPTION) if step.reply == SEVERAL or (step.reply and is_compared) else step
            for step in plan.steps
        )
        return replace(plan, steps=steps)


def same_question(turns: Sequence[StoredTurn], last: int) -> list[StoredTurn]:
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
    """Return one line: which images have the object, which answer yes, or a plain heading."""
    looked = all(step.task in (Task.REFER, Task.DETECTION) for turn in turns for step in turn.steps)
    views = {turn.image: _found(turn) if looked else _opinion(turn) for turn in turns if turn.image}
    if not looked and set(views.values()) - {"Yes", "No"}:
        return f"All {len(turns)} images:"
    if len(set(views.values())) == 1:
        which = "none" if "" in views.values() else "all"
        return f"{next(iter(views.values())) or 'Found'} in {which} of the {len(turns)} images:"
    parts = []
    for view in ("Yes", "No", "Found", "Perhaps found"):
        if those := [str(numbers[image]) for image, found in views.items() if found == view]:
            parts.append(f"{view} in image{'s' if len(those) > 1 else ''} {listed(those)}")
    line = ", ".join([*parts[:1], *(part[:1].lower() + part[1:] for part in parts[1:])])
    return f"{line} of {len(turns)}:"


def _found(turn: StoredTurn) -> str:
    boxes = labelled_boxes(turn)
    if not boxes:
        return ""
    return "Perhaps found" if all(box.score is not None and box.score < UNSURE for box in boxes) else "Found"


def _opinion(turn: StoredTurn) -> str:
    """Return "Yes" or "No" if the answer begins with it, else the answer."""
    first = re.match(r"(Yes|No)\b", turn.answer)
    return first[1] if first else turn.answer


def _row(turn: StoredTurn, number: int) -> str:
    sha256 = turn.image.sha256 if turn.image else ""
    picture = f'<img src="thumbnails/{sha256}" alt="Image {number}" width="64" height="48">'
    return f'<tr><th scope="row">{picture} {number}</th><td>{html.escape(turn.answer)}</td></tr>'
