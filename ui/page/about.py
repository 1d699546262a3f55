"""The page about the model: its model card."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from assistant.vlm.engine.address import is_address, read_address
from assistant.vlm.models.presets import PRESETS

from . import settings, state
from .text import plain

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def summary() -> str:
    """Return what the program does and which data leaves the machine."""
    planner, model = settings.planner_name(), settings.model_name()
    if is_address(model):
        leaves = f"Images and questions go to {plain(read_address(model).host)}, whose model answers"
        leaves += f"; {plain(planner)} reads the messages to plan." if planner else "."
    elif planner:
        leaves = f"Images stay on this machine; {plain(planner)} reads the messages to plan."
    else:
        leaves = "Everything stays on this machine."
    return f"Ask a question about an image; get the answer in words and as boxes. {leaves}"


def page(back: st.Page | None = None) -> st.Page:
    """Return this page for links, and with the page that it leads back to for navigation."""
    return st.Page(partial(show, back), title="About the model", url_path="about")


def show(back: st.Page | None) -> None:
    """Show the card of the current model."""
    name = state.preferences().model
    session = st.query_params.get("session")
    query = {"session": session} if session else None
    with st.container(key="card"):
        if back:
            st.page_link(back, label="Back to the chat", icon=":material/arrow_back:", query_params=query)
        if name in PRESETS:
            st.caption(plain(PRESETS[name].description))
        st.html(read_card(name) or f"<h1>{html.escape(name)}</h1><p>This model comes without a card.</p>")


def read_card(model: str) -> str:
    """Return the card of a model or adapter as HTML, empty if it has none.

    Cards are untrusted: links, images and HTML are shown as plain text.
    """
    folder = PRESETS[model].adapter if model in PRESETS else Path(model)
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    for link in ("link_open", "link_close"):
        reader.add_render_rule(link, _nothing)
    reader.add_render_rule("image", _words)
    return str(reader.render(_FRONT_MATTER.sub("", card)))


def _nothing(*_: object) -> str:
    return ""


def _words(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return html.escape(renderer.renderInlineAsText(tokens[index].children, options, env))
