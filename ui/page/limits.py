"""Limits of each visitor: images, their size, and waiting questions."""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from weakref import WeakSet

import streamlit as st

from assistant.storage import SessionStore
from assistant.vlm.errors import AssistantError

from . import resources, settings

Item = TypeVar("Item")
MB = 1_000_000


class LimitError(AssistantError):
    """A visitor has reached a limit."""


class Queues(Generic[Item]):
    """The waiting questions of one tab, by session."""

    def __init__(self) -> None:
        self.by_session: dict[str | None, list[Item]] = {}
        _queues(resources.owner()).add(self)


@st.cache_resource(show_spinner=False, max_entries=10_000)
def _queues(owner: str | None) -> WeakSet[Queues[Any]]:  # noqa: ARG001 - one set for each owner
    """Return the queues of a visitor's tabs; those of closed tabs disappear."""
    return WeakSet()


def check_queue() -> None:
    """Check that one more question may wait.

    Raises:
        LimitError: the visitor has too many waiting questions, counting all tabs.
    """
    limits = settings.limits()
    if limits is None or not limits.waiting:
        return
    waiting = sum(len(queue) for tab in list(_queues(resources.owner())) for queue in tab.by_session.values())
    if waiting >= limits.waiting:
        raise LimitError(f"{waiting} of your questions are waiting: ask again when some are answered")


def check_room(store: SessionStore, size: int) -> None:
    """Check that one more image of `size` bytes may be added.

    Raises:
        LimitError: the visitor has reached the limit of images or of their size.
    """
    limits = settings.limits()
    if limits is None:
        return
    used = store.usage()
    if limits.pictures and used.pictures >= limits.pictures:
        raise LimitError(f"you have {used.pictures} of {limits.pictures} images: delete a session first")
    if limits.megabytes and used.size + size > limits.megabytes * MB:
        raise LimitError(
            f"your images take {used.size / MB:.0f} of {limits.megabytes} MB: delete a session first"
        )
