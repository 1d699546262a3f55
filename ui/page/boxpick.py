"""An element of the page: a picture on which a person draws one box."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from assistant.vlm.grounding import Box

from .resources import View

_FOLDER = Path(__file__).parent
_HTML = '<svg role="application" tabindex="0"><image/><rect class="shade"/><rect class="box"/></svg>'
_LABEL = (
    "The picture. Drag to draw a box round what you mean; with the keyboard, arrows place a box, "
    "Shift and arrows change its size, Enter takes it, Escape clears it."
)
# Components are registered once, where Streamlit finds them again on every run.
_mount = st.components.v2.component(
    "assistant_boxpick",
    html=_HTML,
    css=(_FOLDER / "boxpick.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "boxpick.js").read_text(encoding="utf-8"),
)


def pick_box(view: View, key: str) -> Box | None:
    """Show a picture and return the box that is drawn on it; another `key` begins without one."""
    data = {
        "url": view.url,
        "width": view.width,
        "height": view.height,
        "label": _LABEL,
        "box": _pixels(key),
    }
    _mount(key=key, data=data, default={"box": None}, on_box_change=_nothing, width="stretch")
    return picked_box(view, key)


def picked_box(view: View, key: str) -> Box | None:
    """Return the box that is drawn on the picture, before or after it is shown."""
    pixels = _pixels(key)
    return Box.from_pixels(*pixels, view.width, view.height) if pixels else None


def _pixels(key: str) -> tuple[float, float, float, float] | None:
    state = st.session_state.get(key) or {}
    return state.get("box") or None


def _nothing() -> None:
    """Streamlit keeps a component's value only where somebody listens to it."""


__all__ = ["pick_box", "picked_box"]
