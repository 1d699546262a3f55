"""An element of the page: a picture with the boxes of phrases, on which a person draws one box more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from assistant.ui.render import phrase_colour
from assistant.vlm.grounding import Box, GroundedPhrase

from .resources import View

_FOLDER = Path(__file__).parent
_HTML = """
<div class="stage" role="application" tabindex="0">
  <img draggable="false">
  <div class="frame"><div class="boxes" aria-hidden="true"></div><div class="region" hidden></div></div>
</div>
<p class="heard" role="status"></p>
<ul class="phrases" aria-label="What was found"></ul>
"""
_LABEL = (
    "The picture. Drag to draw a box round what you mean; with the keyboard, arrows place a box, "
    "Shift and arrows change its size, Enter takes it, Escape clears it."
)
# Components are registered once, where Streamlit finds them again on every run.
_mount = st.components.v2.component(
    "assistant_picture",
    html=_HTML,
    css=(_FOLDER / "picture.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "picture.js").read_text(encoding="utf-8"),
)


def show_picture(view: View, phrases: Sequence[GroundedPhrase], key: str) -> Box | None:
    """Show a picture with boxes and return the one that is drawn on it; another `key` begins without one."""
    data = {
        "url": view.url,
        "width": view.width,
        "height": view.height,
        "label": _LABEL,
        "alt": _described(phrases),
        "phrases": [_shown(phrase, phrase_colour(index)) for index, phrase in enumerate(phrases)],
        "box": _pixels(key),
    }
    _mount(key=key, data=data, default={"box": None}, on_box_change=_nothing, width="stretch")
    return drawn_box(view, key)


def drawn_box(view: View, key: str) -> Box | None:
    """Return the box that is drawn on the picture, before or after it is shown."""
    pixels = _pixels(key)
    return Box.from_pixels(*pixels, view.width, view.height) if pixels else None


def _shown(phrase: GroundedPhrase, colour: str) -> dict[str, Any]:
    text = " ".join(phrase.text.split()) or "here"
    scores = [f"{box.score:.0%}" if box.score is not None else "" for box in phrase.boxes]
    boxes = [
        {"bins": box.bins, "name": f"{text} {score}".strip()}
        for box, score in zip(phrase.boxes, scores, strict=True)
    ]
    note = scores[0] if len(scores) == 1 else f"{len(scores)} boxes"
    return {"text": text, "colour": colour, "note": note, "boxes": boxes}


def _described(phrases: Sequence[GroundedPhrase]) -> str:
    """Return in words what is drawn on the picture."""
    if not phrases:
        return "The picture asked about"
    named = (f"{phrase.text or 'something'} ({len(phrase.boxes)})" for phrase in phrases)
    return f"The picture asked about, with boxes round {', '.join(named)}"


def _pixels(key: str) -> tuple[float, float, float, float] | None:
    state = st.session_state.get(key) or {}
    return state.get("box") or None


def _nothing() -> None:
    """Streamlit keeps a component's value only where somebody listens to it."""


__all__ = ["drawn_box", "show_picture"]
