"""The state of one browser tab: the session id is in the URL, the rest lives in Streamlit's session state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from assistant.storage import SessionNotFoundError, SessionSummary, StoredImage, StoredTurn
from assistant.storage.records import distinct_images
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from . import limits, resources, settings
from .answering import Answering

_SESSION = "session"
# None until the session has its first turn.
SessionId = str | None


def current_session() -> SessionSummary | None:
    """Return the session named in the URL; if it is gone, start a new one."""
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
    """Open a session, or a new one; running and waiting questions of the previous one continue."""
    if session_id is None:
        st.query_params.pop(_SESSION, None)
        _leave_new_session()
        st.session_state["new_sessions"] = new_sessions() + 1
    else:
        st.query_params[_SESSION] = session_id
    _scroll_to_end()


def new_sessions() -> int:
    """Return how many new sessions this tab has started, to give their widgets unique keys."""
    return int(st.session_state.get("new_sessions", 0))


# --- images ----------------------------------------------------------------------------------------------


def add_pictures(session_id: SessionId, pictures: Sequence[StoredImage]) -> None:
    """Add images to a session before any question about them, and select the first.

    After several at once, questions are about all images until the person decides otherwise.
    """
    if pictures:
        _added().setdefault(session_id, []).extend(pictures)
        select_picture(session_id, pictures[0])
    if len(pictures) > 1:
        st.session_state[all_key(session_id)] = True


def pictures(session_id: SessionId, turns: Iterable[StoredTurn]) -> list[StoredImage]:
    """Return the images of a session without duplicates, including those not asked about yet."""
    return list(dict.fromkeys([*distinct_images(turns), *_added().get(session_id, [])]))


def select_picture(session_id: SessionId, picture: StoredImage, turn: int | None = None) -> None:
    """Select the image that questions are about, and optionally the turn whose boxes to show."""
    st.session_state[f"picture-of-{session_id}"] = picture
    st.session_state[f"boxes-of-{session_id}"] = turn


def selected_picture(session_id: SessionId, turns: Sequence[StoredTurn]) -> StoredImage | None:
    """Return the image that questions are about: the selected one, else the last one asked about."""
    known = pictures(session_id, turns)
    chosen = st.session_state.get(f"picture-of-{session_id}")
    last = next((turn.image for turn in reversed(turns) if turn.image), None)
    return next((picture for picture in (chosen, last) if picture in known), known[-1] if known else None)


def all_key(session_id: SessionId) -> str:
    """Return the widget key of the toggle that asks about every image of a session."""
    return f"all-pictures-{session_id}"


def asked_about(
    session_id: SessionId, turns: Sequence[StoredTurn], added: Sequence[StoredImage], *, of_all: bool = False
) -> list[StoredImage | None]:
    """Return the images that a question is about: those `added` with it, all, or the selected one.

    `of_all`: the question is about all of them by its words.
    """
    if len(added) > 1:
        return list(added)
    if (of_all or st.session_state.get(all_key(session_id))) and pictures(session_id, turns):
        return list(pictures(session_id, turns))
    return [selected_picture(session_id, turns)]


def boxes_of(session_id: SessionId) -> int | None:
    """Return the number of the turn whose boxes to show; None for the newest that has some."""
    number: int | None = st.session_state.get(f"boxes-of-{session_id}")
    return number


def _added() -> dict[SessionId, list[StoredImage]]:
    added: dict[SessionId, list[StoredImage]] = st.session_state.setdefault("added", {})
    return added


# --- questions and answers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A question to ask; without a task the planner chooses, `replaces` is the number of the turn to redo.

    `is_of_several`: the same question is asked of other images too.
    """

    message: str
    image: StoredImage | None
    region: Box | None = None
    task: Task | None = None
    replaces: int | None = None
    is_of_several: bool = False


@dataclass(frozen=True)
class Running:
    """A question with its running answer."""

    question: Question
    answering: Answering


@dataclass(frozen=True)
class Failure:
    """A question that failed, and why."""

    question: Question
    reason: str


def queue_question(session_id: SessionId, question: Question) -> None:
    """Queue a question, and forget failed ones.

    If the visitor's queue is full, the question fails.
    """
    try:
        limits.check_queue()
    except limits.LimitError as full:
        if question not in [failure.question for failure in failures(session_id)]:
            reject(session_id, Failure(question, str(full)))
        return
    waiting_questions(session_id).append(question)
    _failures(session_id).clear()
    _scroll_to_end()


def edit(turn: StoredTurn | None) -> None:
    """Start editing the question of a turn; None stops editing."""
    st.session_state["editing"] = turn and (turn.session_id, turn.number)


def is_editing(turn: StoredTurn) -> bool:
    """Return whether the question of a turn is being edited."""
    return bool(st.session_state.get("editing") == (turn.session_id, turn.number))


def waiting_questions(session_id: SessionId) -> list[Question]:
    """Return this tab's queue of questions for a session."""
    return _waiting().setdefault(session_id, [])


def running(session_id: SessionId) -> Running | None:
    """Return the running question of a session, from any tab."""
    return _progress(session_id).running.get(session_id)


def is_busy(session_id: SessionId) -> bool:
    """Return whether a session has a running or queued question."""
    return running(session_id) is not None or bool(waiting_questions(session_id))


def start_next(session_id: SessionId, answering: Callable[[Question], Answering]) -> Running | None:
    """Start the next question unless one is running; return the running one."""
    progress, waiting = _progress(session_id), waiting_questions(session_id)
    with progress.lock:  # another tab may start one at the same time
        if session_id not in progress.running and waiting:
            question = waiting.pop(0)
            progress.running[session_id] = Running(question, answering(question))
        return progress.running.get(session_id)


def finish(session_id: SessionId, running: Running, turn: StoredTurn) -> None:
    """Move to the session of a finished answer, with added images and with questions queued or failed."""
    _end(session_id, running)
    if session_id is None:
        _added()[turn.session_id] = _added().pop(None, [])
        st.session_state[all_key(turn.session_id)] = bool(st.session_state.pop(all_key(None), False))
        waiting_questions(turn.session_id).extend(_waiting().pop(None, []))
        _failures(turn.session_id).extend(_progress(None).failures.pop(None, []))
    if turn.image:
        select_picture(turn.session_id, turn.image)
    st.query_params[_SESSION] = turn.session_id


def fail(session_id: SessionId, running: Running, reason: str) -> None:
    """Record that a question failed; every tab of its session shows it."""
    if _end(session_id, running):
        reject(session_id, Failure(running.question, reason))


def reject(session_id: SessionId, failure: Failure) -> None:
    """Record that a question was not asked."""
    _failures(session_id).append(failure)


def failures(session_id: SessionId) -> tuple[Failure, ...]:
    """Return the questions that failed since the last new one."""
    return tuple(_failures(session_id))


def retry(session_id: SessionId, failure: Failure) -> None:
    """Queue a failed question again; other failures stay."""
    others = [one for one in _failures(session_id) if one is not failure]
    if len(others) < len(_failures(session_id)):  # else another tab has retried it
        _failures(session_id)[:] = [failure]
        queue_question(session_id, failure.question)
        _failures(session_id).extend(others)


def _failures(session_id: SessionId) -> list[Failure]:
    return _progress(session_id).failures.setdefault(session_id, [])


def _end(session_id: SessionId, running: Running) -> bool:
    """Remove a running question; False if another tab removed it first and may have started the next."""
    progress = _progress(session_id)
    with progress.lock:
        if progress.running.get(session_id) is not running:
            return False
        del progress.running[session_id]
        return True


def _leave_new_session() -> None:
    """Reset the new session; its queued questions move to the session that its running answer creates."""
    progress, waiting = _progress(None), _waiting().pop(None, [])
    left = progress.running.pop(None, None)
    progress.failures.pop(None, None)
    _added().pop(None, None)
    if left and waiting:
        _abandoned().append((left, waiting))


def adopt_left_questions() -> None:
    """Queue the questions of an abandoned new session in the session that its answer has created."""
    for left, waiting in _abandoned().copy():
        if left.answering.wait(0):
            _abandoned().remove((left, waiting))
            if session_id := left.answering.made_session():
                waiting_questions(session_id).extend(waiting)
            else:
                st.toast(f"Questions not asked, because the one before failed: {len(waiting)}")


def _abandoned() -> list[tuple[Running, list[Question]]]:
    abandoned: list[tuple[Running, list[Question]]] = st.session_state.setdefault("abandoned", [])
    return abandoned


def scroll_count() -> int:
    """Return a counter; the page scrolls to the end of the conversation when it grows."""
    return int(st.session_state.get("scroll_count", 0))


def _scroll_to_end() -> None:
    st.session_state["scroll_count"] = scroll_count() + 1


@dataclass
class _Progress:
    """The running question and the failures of each session."""

    running: dict[SessionId, Running] = field(default_factory=dict)
    failures: dict[SessionId, list[Failure]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _progress(session_id: SessionId) -> _Progress:
    """Return the progress shared by all tabs, or this tab's own for a session without an id."""
    if session_id:
        return _shared_progress()
    own: _Progress = st.session_state.setdefault("progress", _Progress())
    return own


@st.cache_resource(show_spinner=False)
def _shared_progress() -> _Progress:
    return _Progress()


def _waiting() -> dict[SessionId, list[Question]]:
    if "waiting" not in st.session_state:
        st.session_state["waiting"] = limits.Queues[Question]()
    queues: limits.Queues[Question] = st.session_state["waiting"]
    return queues.by_session


# --- preferences -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preferences:
    """The settings of this tab; boxes with a score (0..1) below `min_score` are hidden."""

    model: str
    min_score: float = 0.0
    verify: bool = False


def preferences() -> Preferences:
    """Return the preferences of this tab."""
    wanted: Preferences | None = st.session_state.get("preferences")
    return wanted or Preferences(settings.model_name())


def set_preferences(**changes: object) -> None:
    """Change some of the preferences."""
    st.session_state["preferences"] = replace(preferences(), **changes)  # type: ignore[arg-type]
