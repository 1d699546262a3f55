"""A session behind a read-only link: images, boxes and conversation, without controls."""

from __future__ import annotations

from html import escape

import streamlit as st

from assistant.storage.records import labelled_boxes
from assistant.vlm.errors import AssistantError

from . import resources, settings
from .boxes import drawn
from .text import paragraph

LINK = "link"
_WIDTH = 640
# Sharp in full screen; a 4096 pixel photo would take seconds to encode and send.
_LONG_SIDE = 1600


def show(link: str) -> None:
    """Show the session of a link.

    Raises:
        AssistantError: links are off, or there is no such link.
    """
    if not settings.has_links():
        raise AssistantError("links to sessions are turned off here; ask who runs this page")
    store = resources.everything()
    session = store.linked_session(link)
    st.html(f"<h1>{escape(session.title) or 'Untitled'}</h1>")
    st.caption(f"{session.updated:%-d %B %Y}, read-only")
    before = None
    for turn in store.turns(session.id):
        with st.chat_message("user", avatar=":material/person:"):
            paragraph(turn.user)
        with st.chat_message("assistant", avatar=":material/visibility:"):
            paragraph(turn.answer)
            if turn.image and (turn.image != before or labelled_boxes(turn)):
                alt = f"The image of question {turn.number}, with what was found"
                image = drawn(store, turn)
                image.thumbnail((_LONG_SIDE, _LONG_SIDE))
                st.image(image, width=_WIDTH, alt=alt, output_format="JPEG")
        before = turn.image


def show_link(session_id: str) -> None:
    """Show the link of a session, with the switch that creates and removes it."""
    if not settings.has_links():
        return
    link = resources.store().link(session_id)
    wanted = st.toggle(
        "Read-only link",
        link is not None,
        key=f"link-{session_id}",
        help="Anyone with the link sees this session, images included, and cannot change it.",
    )
    if wanted != (link is not None):
        link = resources.store().set_link(session_id, wanted)
    if link:
        page = (st.context.url or "").partition("?")[0]
        st.code(f"{page}?{LINK}={link}", language=None, wrap_lines=True)
