"""An element of the page: small pictures in a row, one of which is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parent
# Components are registered once, where Streamlit finds them again on every run.
_mount = st.components.v2.component(
    "assistant_thumbnails",
    html='<div class="strip" role="group"></div>',
    css=(_FOLDER / "thumbnails.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "thumbnails.js").read_text(encoding="utf-8"),
)


def show_thumbnails(urls: Sequence[str], current: int, key: str) -> int | None:
    """Show pictures by their URLs, marking one; return the index of the one just picked, if any."""
    data = {"urls": list(urls), "current": current, "label": "Pictures of this session"}
    result = _mount(key=key, data=data, on_picked_change=_nothing, width="stretch")
    picked: int | None = result.picked
    return picked


def _nothing() -> None:
    """Streamlit hands a component's value over only where somebody listens to it."""


__all__ = ["show_thumbnails"]
