"""The page's entry point: Streamlit runs this file from top to bottom on every interaction."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from assistant.ui.page import about, chat, shared_view, visitors
from assistant.ui.page.text import plain
from assistant.vlm.errors import AssistantError

FOLDER = Path(__file__).parent


def show() -> None:
    """Show the page at the current URL."""
    summary = about.summary()
    st.set_page_config("Assistant", FOLDER / "icon.svg", layout="wide", menu_items={"About": summary})
    st.html(FOLDER / "style.css")
    st.logo(FOLDER / "icon.svg", size="large")
    if not visitors.admit():
        return
    if link := st.query_params.get(shared_view.LINK):
        shared_view.show(link)
        return
    front = chat.page()
    st.navigation([front, about.page(back=front)], position="hidden").run()


try:
    show()
except AssistantError as problem:
    st.error(plain(str(problem), 600), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:", key="reload")  # every click runs this file again
