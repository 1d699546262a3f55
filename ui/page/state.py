"""What one tab of the browser knows: its session is in the address, the rest lasts as long as the tab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from assistant.agent.turn import TurnResult
from assistant.storage import SessionNotFoundError, SessionSummary, StoredImage, StoredTurn
from assistant.storage.records import distinct_images
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from . import resources

_SESSION = "session"


@dataclass(frozen=True)
class Question:
    """What is to be asked next; a task of None leaves the choice to the planner."""

    message: str
    image: StoredImage | None
    region: Box | None = None
    task: Task | None = None


def current_session() -> SessionSummary | None:
    """Return the session that the address names; one that is gone makes a new one."""
    session_id = st.query_params.get(_SESSION)
    if not session_id:
        return None
    try:
        return resources.store().get_session(session_id)
    except SessionNotFoundError:
        open_session(None)
        st.toast("That session is no longer there; this is a new one.")
        return None


def open_session(session_id: str | None) -> None:
    """Go to a session, or to a new one."""
    if session_id is None:
        st.query_params.pop(_SESSION, None)
        _added().pop(None, None)
    else:
        st.query_params[_SESSION] = session_id


# --- pictures --------------------------------------------------------------------------------------------


def add_pictures(session_id: str | None, pictures: Sequence[StoredImage]) -> None:
    """Add pictures to a session before anything is asked about them; the first is the one looked at."""
    if pictures:
        _added().setdefault(session_id, []).extend(pictures)
        look_at(session_id, pictures[0])


def pictures(session_id: str | None, turns: Iterable[StoredTurn]) -> list[StoredImage]:
    """Return the pictures of a session, asked about or not yet, each once."""
    return list(dict.fromkeys([*distinct_images(turns), *_added().get(session_id, [])]))


def look_at(session_id: str | None, picture: StoredImage) -> None:
    """Make a picture the one that questions are about."""
    st.session_state[_looked_at_key(session_id)] = picture


def looked_at(session_id: str | None, turns: Sequence[StoredTurn]) -> StoredImage | None:
    """Return the picture that questions are about: the one chosen, or the last one asked about."""
    known = pictures(session_id, turns)
    chosen = st.session_state.get(_looked_at_key(session_id))
    last = next((turn.image for turn in reversed(turns) if turn.image), None)
    return next((picture for picture in (chosen, last) if picture in known), known[-1] if known else None)


def _looked_at_key(session_id: str | None) -> str:
    return f"looked-at-{session_id}"


def _added() -> dict[str | None, list[StoredImage]]:
    added: dict[str | None, list[StoredImage]] = st.session_state.setdefault("added", {})
    return added


# --- questions and answers -------------------------------------------------------------------------------


def put_question(question: Question) -> None:
    """Have a question asked in this run or the next."""
    st.session_state["question"] = question


def take_question() -> Question | None:
    """Return the question that waits, once."""
    question: Question | None = st.session_state.pop("question", None)
    return question


def keep_answer(session_id: str | None, turn: StoredTurn, result: TurnResult) -> None:
    """Go on in the session of an answer, with the pictures that wait, and remember how it was planned."""
    _reasons()[turn.session_id, turn.number] = result.plan.why
    st.session_state["answered"] = True
    if session_id is None:
        _added()[turn.session_id] = _added().pop(None, [])
    if turn.image:
        look_at(turn.session_id, turn.image)
    open_session(turn.session_id)


def is_answered() -> bool:
    """Return whether an answer has come since this was asked last."""
    return bool(st.session_state.pop("answered", False))


def reason(turn: StoredTurn) -> str:
    """Return why a turn was planned as it was, empty for turns of another day: it is not kept with them."""
    return _reasons().get((turn.session_id, turn.number), "")


def _reasons() -> dict[tuple[str, int], str]:
    reasons: dict[tuple[str, int], str] = st.session_state.setdefault("reasons", {})
    return reasons


__all__ = [
    "Question",
    "add_pictures",
    "current_session",
    "is_answered",
    "keep_answer",
    "look_at",
    "looked_at",
    "open_session",
    "pictures",
    "put_question",
    "reason",
    "take_question",
]
