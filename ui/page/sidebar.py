"""The sidebar: create, search, open, pin, rename, export and delete sessions."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO

import streamlit as st

from assistant.storage import SessionNotFoundError, SessionStore, SessionSummary

from . import about, exports, preferences, resources, shared_view, state, visitors
from .text import plain

LISTED = 50
_UNTITLED = "Untitled"


def show(current: SessionSummary | None) -> None:
    """Show the sidebar; `current` is the open session."""
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
            _show_bulk_actions(resources.store())
            preferences.show()
            query = {"session": current.id} if current else None
            st.page_link(about.page(), icon=":material/info:", query_params=query)
            visitors.show_name()


def _show_sessions(store: SessionStore, current: SessionSummary | None) -> None:
    words = st.text_input(
        "Search sessions",
        placeholder="Search sessions",
        icon=":material/search:",
        label_visibility="collapsed",
        key="search",
    )
    listed = store.list_sessions(LISTED)
    entries = _found(store, listed, words) if words.strip() else [(session, "") for session in listed]
    first = store.first_turns([session.id for session, _ in entries])
    with st.container(key="sessions", gap="xxsmall"):
        for session, snippet in entries:
            question, image = first.get(session.id, ("", None))
            _entry(session, image, current)
            if snippet:
                st.caption(highlighted(snippet, words))
            elif not (session.title and question.startswith(session.title)):
                st.caption(plain(question, 60))
    if words.strip() and not entries:
        st.caption("Nothing found.")


def _found(
    store: SessionStore, listed: Sequence[SessionSummary], words: str
) -> list[tuple[SessionSummary, str]]:
    """Return the sessions whose title or turns contain the words, each once, with a snippet of the match."""
    needle = words.strip().casefold()
    found = {session.id: (session, "") for session in listed if needle in session.title.casefold()}
    for hit in store.search(words, LISTED):
        if not found.get(hit.session_id, (None, ""))[1]:
            found[hit.session_id] = (store.get_session(hit.session_id), hit.snippet)
    return list(found.values())


def highlighted(snippet: str, words: str) -> str:
    """Return a snippet as Markdown with the search words highlighted."""
    terms = "|".join(re.escape(word) for word in words.split())
    parts = re.split(f"({terms})", " ".join(snippet.split()), flags=re.IGNORECASE)
    return "".join(
        f"**:orange-background[{plain(part)}]**" if index % 2 else " ".join(map(plain, part.split(" ")))
        for index, part in enumerate(parts)
    )


def _entry(session: SessionSummary, image: str | None, current: SessionSummary | None) -> None:
    if current is not None and current.id == session.id:
        _open_entry(session, image)
        return
    picture = f"![](thumbnails/{image}) " if image else ""
    pin = ":material/keep: " if session.pinned else ""
    st.button(
        f"{picture}{pin}{plain(session.title, 24) or _UNTITLED} :small[{age(session.updated)}]",
        key=f"open-{session.id}",
        width="stretch",
        type="tertiary",
        on_click=state.open_session,
        args=(session.id,),
    )


def _open_entry(session: SessionSummary, image: str | None) -> None:
    """Show the open session: its title can be edited in place."""
    key = f"title-{session.id}"
    with st.container(key="current", horizontal=True, vertical_alignment="center", gap="xsmall"):
        if image:
            st.html(f'<img src="thumbnails/{image}" alt="">', width="content")
        st.text_input(
            "Title of this session",
            session.title,
            max_chars=200,
            placeholder=_UNTITLED,
            icon=":material/keep:" if session.pinned else None,
            label_visibility="collapsed",
            key=key,
            on_change=_rename,
            args=(session.id, key),
        )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.popover("Pin, export, delete", type="tertiary", icon=":material/tune:", key="options"):
            _options(resources.store(), session)
        st.caption(age(session.updated), width="content")


def age(time: datetime) -> str:
    """Return a time as a short age or date: `now`, `5 min`, `3 h`, `2 Nov`."""
    past = datetime.now(UTC) - time
    if past < timedelta(minutes=1):
        return "now"
    if past < timedelta(hours=1):
        return f"{past // timedelta(minutes=1)} min"
    if past < timedelta(days=1):
        return f"{past // timedelta(hours=1)} h"
    return f"{time:%-d %b}" if past < timedelta(days=300) else f"{time:%b %Y}"


def _options(store: SessionStore, session: SessionSummary) -> None:
    label = "Unpin" if session.pinned else "Pin"
    args = (session.id, not session.pinned)
    st.button(label, icon=":material/keep:", width="stretch", on_click=_pin, args=args, key="pin")
    shared_view.show_link(session.id)
    st.markdown("**Export**")
    exports.downloads(store, session.id)
    if st.button("Delete …", icon=":material/delete:", width="stretch", key="delete"):
        _confirm_deletion([session])


def _pin(session_id: str, pinned: bool) -> None:
    resources.store().pin_session(session_id, pinned)


def _rename(session_id: str, key: str) -> None:
    resources.store().rename_session(session_id, st.session_state[key].strip())


# --- several sessions ------------------------------------------------------------------------------------


def _show_bulk_actions(store: SessionStore) -> None:
    """Show the actions on several sessions at once."""
    with st.popover(
        "Several sessions", icon=":material/checklist:", type="tertiary", width="stretch", key="many"
    ):
        sessions = {session.id: session for session in store.list_sessions()}
        chosen = st.multiselect(
            "Sessions",
            list(sessions),
            format_func=lambda one: plain(sessions[one].title, 40) or _UNTITLED if one in sessions else "",
            placeholder="Choose sessions",
            key="chosen-sessions",
        )
        st.download_button(
            "Export as JSON",
            lambda: archive(store, chosen),
            "sessions.zip",
            "application/zip",
            icon=":material/download:",
            width="stretch",
            on_click="ignore",
            disabled=not chosen,
            key="download-many",
        )
        if st.button(
            "Delete …", icon=":material/delete:", width="stretch", disabled=not chosen, key="delete-many"
        ):
            _confirm_deletion([sessions[one] for one in chosen])
        st.caption("To import a session, drop its JSON file where images go.")


def archive(store: SessionStore, session_ids: Sequence[str]) -> bytes:
    """Return a zip archive of sessions, one JSON file each."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as files:
        for session_id in session_ids:
            files.writestr(f"session-{session_id}.json", store.export_json(session_id))
    return buffer.getvalue()


@st.dialog("Delete?")
def _confirm_deletion(sessions: Sequence[SessionSummary]) -> None:
    if len(sessions) == 1:
        st.markdown(f"“{plain(sessions[0].title) or _UNTITLED}” and its images will be deleted permanently.")
    else:
        st.markdown(f"{len(sessions)} sessions and their images will be deleted permanently.")
    with st.container(horizontal=True):
        ids = [session.id for session in sessions]
        if st.button("Delete", type="primary", key="really-delete", on_click=_delete, args=(ids,)):
            st.rerun()
        if st.button("Cancel", key="keep"):
            st.rerun()


def _delete(session_ids: Sequence[str]) -> None:
    for session_id in session_ids:
        try:
            resources.store().delete_session(session_id)
        except SessionNotFoundError:
            continue  # another tab deleted it first
        if st.query_params.get("session") == session_id:
            state.open_session(None)
    st.session_state.pop("chosen-sessions", None)
