"""The sidebar: sessions to begin, find, open, rename, take away and delete."""

from __future__ import annotations

import streamlit as st

from assistant.storage import SessionStore, SessionSummary

from . import about, exports, preferences, resources, state
from .text import plain

LISTED = 50
_UNTITLED = "Untitled"


def show(current: SessionSummary | None) -> None:
    """Show the sidebar; `current` is the session that is open."""
    with st.sidebar:
        st.button(
            "New session",
            icon=":material/add:",
            width="stretch",
            on_click=state.open_session,
            args=(None,),
            key="new",
        )
        _show_sessions(resources.store(), current)
        with st.container(key="foot"):
            preferences.show()
            query = {"session": current.id} if current else None
            st.page_link(about.page(), icon=":material/info:", query_params=query)


def _show_sessions(store: SessionStore, current: SessionSummary | None) -> None:
    words = st.text_input(
        "Search sessions",
        placeholder="Search sessions",
        icon=":material/search:",
        label_visibility="collapsed",
        key="search",
    )
    entries = _found(store, words) if words.strip() else _listed(store)
    with st.container(key="sessions", gap="xxsmall"):
        for session_id, title in entries:
            _entry(session_id, title, current)
    if words.strip() and not entries:
        st.caption("Nothing found.")


def _listed(store: SessionStore) -> list[tuple[str, str]]:
    return [(session.id, session.title) for session in store.list_sessions(LISTED)]


def _found(store: SessionStore, words: str) -> list[tuple[str, str]]:
    """Return the sessions whose title or turns have the words, each once."""
    needle = words.strip().casefold()
    titled = [entry for entry in _listed(store) if needle in entry[1].casefold()]
    hits = [(hit.session_id, hit.session_title) for hit in store.search(words, LISTED)]
    return list(dict.fromkeys([*titled, *hits]))


def _entry(session_id: str, title: str, current: SessionSummary | None) -> None:
    is_open = current is not None and current.id == session_id
    st.button(
        plain(title, 34) or _UNTITLED,
        key=f"open-{session_id}",
        width="stretch",
        type="secondary" if is_open else "tertiary",
        icon=":material/chat_bubble:" if is_open else None,
        on_click=state.open_session,
        args=(session_id,),
    )
    if current is not None and is_open:
        with st.popover("Rename, export, delete", type="tertiary", icon=":material/tune:", key="options"):
            _options(resources.store(), current)


def _options(store: SessionStore, session: SessionSummary) -> None:
    key = f"title-{session.id}"
    st.text_input("Title", session.title, max_chars=200, key=key, on_change=_rename, args=(session.id, key))
    st.markdown("**Export**")
    exports.downloads(store, session.id)
    if st.button("Delete …", icon=":material/delete:", width="stretch", key="delete"):
        _confirm_deletion(session)


def _rename(session_id: str, key: str) -> None:
    resources.store().rename_session(session_id, st.session_state[key].strip())


@st.dialog("Delete this session?")
def _confirm_deletion(session: SessionSummary) -> None:
    st.markdown(f"“{plain(session.title) or _UNTITLED}” and its pictures will be gone for good.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="really-delete", on_click=_delete, args=(session.id,)):
            st.rerun()
        if st.button("Keep", key="keep"):
            st.rerun()


def _delete(session_id: str) -> None:
    resources.store().delete_session(session_id)
    state.open_session(None)


__all__ = ["show"]
