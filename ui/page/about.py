"""The page about the model: what it is made of, how it was trained, how good it is."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from assistant.vlm.presets import PRESETS

from . import state
from .text import plain

ABOUT = "Ask a picture a question; get the answer in words and as boxes. Everything stays on this machine."
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
# A card may come with an adapter from anywhere: its links and pictures are shown as their words.
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_HTML = re.compile(r"<(?=[A-Za-z/!])")


def page() -> st.Page:
    """Return this page, to be listed and linked to."""
    return st.Page(show, title="About the model", url_path="about")


def show() -> None:
    """Show the model that answers."""
    from . import chat  # which links to this page

    name = state.preferences().model
    session = st.query_params.get("session")
    query = {"session": session} if session else None
    with st.container(key="card"):
        st.page_link(chat.page(), label="Back to the chat", icon=":material/arrow_back:", query_params=query)
        if name in PRESETS:
            st.caption(plain(PRESETS[name].description))
        st.markdown(read_card(name) or f"# {plain(name)}\n\nThis model comes without a card.")


def read_card(model: str) -> str:
    """Return the card of a model or an adapter as Markdown without links, pictures and HTML; may be empty."""
    folder = PRESETS[model].adapter if model in PRESETS else Path(model)
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return _HTML.sub("&lt;", _LINK.sub(r"\1", _FRONT_MATTER.sub("", card)))


__all__ = ["ABOUT", "page", "read_card", "show"]
