"""What one tab of the browser knows: its session is in the address, the rest lasts as long as the tab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from assistant.storage import SessionNotFoundError, SessionSummary, StoredImage, StoredTurn
from assistant.storage.records import distinct_images
from assistant.vlm.grounding import Box
from assistant.vlm.presets import DEFAULT_MODEL
from assistant.vlm.tasks import Task

from . import resources, settings
from .answering import Answering

_SESSION = "session"
# A session that has no turn yet has no id either.
SessionId = str | None


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


def open_session(session_id: SessionId) -> None:
    """Go to a session, or to a new one; what is being answered goes on and is kept."""
    if session_id is None:
        st.query_params.pop(_SESSION, None)
        for known in (_added(), _waiting(), _running(None), _failures()):
            known.pop(None, None)
        st.session_state["begun"] = sessions_begun() + 1
    else:
        st.query_params[_SESSION] = session_id


def sessions_begun() -> int:
    """Return how many new sessions this tab has begun, which tells their fields apart."""
    return int(st.session_state.get("begun", 0))


# --- pictures --------------------------------------------------------------------------------------------


def add_pictures(session_id: SessionId, pictures: Sequence[StoredImage]) -> None:
    """Add pictures to a session before anything is asked about them; the first is the one looked at."""
    if pictures:
        _added().setdefault(session_id, []).extend(pictures)
        look_at(session_id, pictures[0])


def pictures(session_id: SessionId, turns: Iterable[StoredTurn]) -> list[StoredImage]:
    """Return the pictures of a session, asked about or not yet, each once."""
    return list(dict.fromkeys([*distinct_images(turns), *_added().get(session_id, [])]))


def look_at(session_id: SessionId, picture: StoredImage, turn: int | None = None) -> None:
    """Make a picture the one that questions are about; of the boxes on it show those of one turn."""
    st.session_state[f"looked-at-{session_id}"] = picture
    st.session_state[f"boxes-of-{session_id}"] = turn


def looked_at(session_id: SessionId, turns: Sequence[StoredTurn]) -> StoredImage | None:
    """Return the picture that questions are about: the one chosen, or the last one asked about."""
    known = pictures(session_id, turns)
    chosen = st.session_state.get(f"looked-at-{session_id}")
    last = next((turn.image for turn in reversed(turns) if turn.image), None)
    return next((picture for picture in (chosen, last) if picture in known), known[-1] if known else None)


def boxes_of(session_id: SessionId) -> int | None:
    """Return the turn whose boxes somebody wants to see, by its number; None is the newest that has some."""
    number: int | None = st.session_state.get(f"boxes-of-{session_id}")
    return number


def _added() -> dict[SessionId, list[StoredImage]]:
    added: dict[SessionId, list[StoredImage]] = st.session_state.setdefault("added", {})
    return added


# --- questions and answers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What is to be asked; without a task the planner chooses, `replaces` is the turn asked once more."""

    message: str
    image: StoredImage | None
    region: Box | None = None
    task: Task | None = None
    replaces: int | None = None


@dataclass(frozen=True)
class Running:
    """A question that is being answered."""

    question: Question
    answering: Answering


@dataclass(frozen=True)
class Failure:
    """A question that has no answer, and why."""

    question: Question
    reason: str


def put_question(session_id: SessionId, question: Question) -> None:
    """Have a question asked, after those that wait already."""
    waiting_questions(session_id).append(question)
    _failures().pop(session_id, None)


def waiting_questions(session_id: SessionId) -> list[Question]:
    """Return the questions that wait for the one that is being answered; to be changed by their taker."""
    return _waiting().setdefault(session_id, [])


def running(session_id: SessionId) -> Running | None:
    """Return what is being answered in a session, whichever tab asked."""
    return _running(session_id).get(session_id)


def begin(session_id: SessionId, begun: Running) -> None:
    """Note that a question is being answered."""
    _running(session_id)[session_id] = begun
    _ask_to_scroll()


def keep_answer(session_id: SessionId, turn: StoredTurn) -> None:
    """Go on in the session of an answer, with the pictures and questions that wait."""
    _running(session_id).pop(session_id, None)
    if session_id is None:
        _added()[turn.session_id] = _added().pop(None, [])
        waiting_questions(turn.session_id).extend(waiting_questions(None))
        waiting_questions(None).clear()
    if turn.image:
        look_at(turn.session_id, turn.image)
    _ask_to_scroll()
    open_session(turn.session_id)


def fail(session_id: SessionId, failure: Failure) -> None:
    """Note that a question has no answer."""
    _running(session_id).pop(session_id, None)
    _failures()[session_id] = failure


def failure(session_id: SessionId) -> Failure | None:
    """Return what went wrong last, until something else is asked."""
    return _failures().get(session_id)


def takes_scroll() -> bool:
    """Return whether the newest question is to be brought into view, once."""
    return bool(st.session_state.pop("scroll", False))


def _ask_to_scroll() -> None:
    st.session_state["scroll"] = True


def _running(session_id: SessionId) -> dict[SessionId, Running]:
    """Return where to note what is answered: a session is everybody's, one without an id is the tab's own."""
    return _shared() if session_id else st.session_state.setdefault("running", {})


@st.cache_resource(show_spinner=False)
def _shared() -> dict[SessionId, Running]:
    return {}


def _waiting() -> dict[SessionId, list[Question]]:
    waiting: dict[SessionId, list[Question]] = st.session_state.setdefault("waiting", {})
    return waiting


def _failures() -> dict[SessionId, Failure]:
    known: dict[SessionId, Failure] = st.session_state.setdefault("failures", {})
    return known


# --- preferences -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preferences:
    """How this tab wants its answers: boxes of a lower score (0..1) than `least_score` are not shown."""

    model: str
    least_score: float = 0.0
    verify: bool = False


def preferences() -> Preferences:
    """Return how answers are wanted."""
    wanted: Preferences | None = st.session_state.get("preferences")
    return wanted or Preferences(settings.model_name(DEFAULT_MODEL))


def prefer(**changes: object) -> None:
    """Change some of the preferences."""
    st.session_state["preferences"] = replace(preferences(), **changes)  # type: ignore[arg-type]


__all__ = [
    "Failure",
    "Preferences",
    "Question",
    "Running",
    "SessionId",
    "add_pictures",
    "begin",
    "boxes_of",
    "current_session",
    "fail",
    "failure",
    "keep_answer",
    "look_at",
    "looked_at",
    "open_session",
    "pictures",
    "prefer",
    "preferences",
    "put_question",
    "running",
    "sessions_begun",
    "takes_scroll",
    "waiting_questions",
]
