"""Start a new session with the first turns of another, to ask an edited question."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.agent.assistant import TITLE_LENGTH
from assistant.storage import SessionStore, StoredTurn


def start(store: SessionStore, turns: Sequence[StoredTurn], question: str) -> str | None:
    """Copy `turns` with their feedback and corrections to a new session, titled by `question`.

    Return its id, None if there are no turns: the first answer then creates the session.

    Raises:
        StorageError: it cannot be saved.
    """
    if not turns:
        return None
    session_id = store.create_session(question[:TITLE_LENGTH]).id
    for turn in turns:
        number = store.append_turn(session_id, turn).number
        store.set_feedback(session_id, number, turn.feedback)
        store.set_corrections(session_id, number, turn.corrections)
    return session_id
