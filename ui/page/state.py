"""What one tab of the browser knows: its session is in the address, the rest lasts as long as the tab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

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
    """Go to a session, or to a new one; what is being answered and what waits for it goes on and is kept."""
    if session_id is None:
        st.query_params.pop(_SESSION, None)
        _leave_new_session()
        st.session_state["begun"] = sessions_begun() + 1
    else:
        st.query_params[_SESSION] = session_id
    _follow()


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


def all_key(session_id: SessionId) -> str:
    """Return the key of the switch that has questions asked of every picture of a session."""
    return f"all-pictures-{session_id}"


def asked_about(
    session_id: SessionId, turns: Sequence[StoredTurn], added: Sequence[StoredImage]
) -> list[StoredImage | None]:
    """Return the pictures that a question is about: those `added` with it, all, or the one looked at."""
    if len(added) > 1:
        return list(added)
    if st.session_state.get(all_key(session_id)):
        return list(pictures(session_id, turns))
    return [looked_at(session_id, turns)]


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
    _progress(session_id).failures.pop(session_id, None)
    st.session_state["asked"] = questions_asked() + 1
    _follow()


def change(turn: StoredTurn | None) -> None:
    """Have the question of a turn written in other words; None is done with that."""
    st.session_state["changing"] = turn and (turn.session_id, turn.number)


def is_changing(turn: StoredTurn) -> bool:
    """Return whether the question of a turn is being written in other words."""
    return bool(st.session_state.get("changing") == (turn.session_id, turn.number))


def questions_asked() -> int:
    """Return how many questions this tab has had asked, answered or not."""
    return int(st.session_state.get("asked", 0))


def waiting_questions(session_id: SessionId) -> list[Question]:
    """Return the questions of this tab that wait for the one that is being answered."""
    return _waiting().setdefault(session_id, [])


def running(session_id: SessionId) -> Running | None:
    """Return what is being answered in a session, whichever tab asked."""
    return _progress(session_id).running.get(session_id)


def is_busy(session_id: SessionId) -> bool:
    """Return whether a question of a session is being answered, or waits."""
    return running(session_id) is not None or bool(waiting_questions(session_id))


def begin_next(session_id: SessionId, answering: Callable[[Question], Answering]) -> Running | None:
    """Begin the next question unless one is being answered, and return the one that is."""
    progress, waiting = _progress(session_id), waiting_questions(session_id)
    with progress.lock:  # another tab may be about to begin too
        if session_id not in progress.running and waiting:
            question = waiting.pop(0)
            progress.running[session_id] = Running(question, answering(question))
        return progress.running.get(session_id)


def keep_answer(session_id: SessionId, running: Running, turn: StoredTurn) -> None:
    """Go on in the session of an answer, with the pictures and questions that wait."""
    _end(session_id, running)
    if session_id is None:
        _added()[turn.session_id] = _added().pop(None, [])
        waiting_questions(turn.session_id).extend(_waiting().pop(None, []))
    if turn.image:
        look_at(turn.session_id, turn.image)
    st.query_params[_SESSION] = turn.session_id


def fail(session_id: SessionId, running: Running, reason: str) -> None:
    """Note that a question has no answer; every tab of its session shows that."""
    if _end(session_id, running):
        refuse(session_id, Failure(running.question, reason))


def refuse(session_id: SessionId, failure: Failure) -> None:
    """Note that a question is not asked."""
    _progress(session_id).failures[session_id] = failure


def failure(session_id: SessionId) -> Failure | None:
    """Return what went wrong last, until something else is asked."""
    return _progress(session_id).failures.get(session_id)


def _end(session_id: SessionId, running: Running) -> bool:
    """Return whether this was still being answered: another tab may have seen its end, and begun the next."""
    progress = _progress(session_id)
    with progress.lock:
        if progress.running.get(session_id) is not running:
            return False
        del progress.running[session_id]
        return True


def _leave_new_session() -> None:
    """Begin anew where there is no session yet; questions that wait go to the one that the answer makes."""
    progress, waiting = _progress(None), _waiting().pop(None, [])
    left = progress.running.pop(None, None)
    progress.failures.pop(None, None)
    _added().pop(None, None)
    if left and waiting:
        _left().append((left, waiting))


def adopt_left_questions() -> None:
    """Hand questions of a new session that was left to the session that its answer has made by now."""
    for left, waiting in _left().copy():
        if left.answering.wait(0):
            _left().remove((left, waiting))
            if session_id := left.answering.made_session():
                waiting_questions(session_id).extend(waiting)
            else:
                st.toast(f"Not asked, for the question before had no answer: {len(waiting)}")


def _left() -> list[tuple[Running, list[Question]]]:
    left: list[tuple[Running, list[Question]]] = st.session_state.setdefault("left", [])
    return left


def followed() -> int:
    """Return a number that grows whenever the end of the talk is to be brought into view."""
    return int(st.session_state.get("followed", 0))


def _follow() -> None:
    st.session_state["followed"] = followed() + 1


@dataclass
class _Progress:
    """What is being answered, and what went wrong last, by session."""

    running: dict[SessionId, Running] = field(default_factory=dict)
    failures: dict[SessionId, Failure] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _progress(session_id: SessionId) -> _Progress:
    """Return where to note progress: a session is everybody's, one without an id is the tab's own."""
    if session_id:
        return _shared_progress()
    own: _Progress = st.session_state.setdefault("progress", _Progress())
    return own


@st.cache_resource(show_spinner=False)
def _shared_progress() -> _Progress:
    return _Progress()


def _waiting() -> dict[SessionId, list[Question]]:
    waiting: dict[SessionId, list[Question]] = st.session_state.setdefault("waiting", {})
    return waiting


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
    "adopt_left_questions",
    "all_key",
    "asked_about",
    "begin_next",
    "boxes_of",
    "change",
    "current_session",
    "fail",
    "failure",
    "followed",
    "is_busy",
    "is_changing",
    "keep_answer",
    "look_at",
    "looked_at",
    "open_session",
    "pictures",
    "prefer",
    "preferences",
    "put_question",
    "questions_asked",
    "refuse",
    "running",
    "sessions_begun",
    "waiting_questions",
]
