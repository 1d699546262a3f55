"""The image viewer component: zoom, edit boxes, and draw or pick the box to ask about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from assistant.agent.answer import UNSURE
from assistant.storage import LabelledBox, StoredImage
from assistant.vlm.drawing import PALETTE
from assistant.vlm.grounding import Box

from .component import component, nothing

_LABEL = (
    "The image. Drag to draw a box around what you mean, or click a box. With the keyboard, arrows place a "
    "box, Shift and arrows change its size, Enter uses it, Escape clears it; plus, minus and 0 zoom, M and "
    "arrows move the image, F fills the screen, E edits the boxes."
)


# SVG paths on a 24 x 24 grid, in the style of Material icons.
_ICONS = {
    "zoom-out": "M5 12h14",
    "zoom-in": "M5 12h14M12 5v14",
    "fit": "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    "pan": "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3",
    "full": "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
    "edit": "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    "delete": "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
    "undo": "M9 6L4 11l5 5M4 11h10a5 5 0 0 1 0 10h-2",
    "redo": "M15 6l5 5-5 5M20 11H10a5 5 0 0 0 0 10h2",
    "restore": "M12 3a9 9 0 1 0 9 9M21 3v6h-6M12 8v4l3 2",
}


def _button(do: str, label: str) -> str:
    icon = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[do]}"/></svg>'
    return f'<button type="button" data-do="{do}" aria-label="{label}" title="{label}">{icon}</button>'


_HTML = f"""
<div class="picture">
  <div class="stage" role="application" tabindex="0" aria-label="{_LABEL}">
    <div class="canvas" role="img"></div>
    <div class="frame" aria-hidden="true">
      <div class="boxes"></div><div class="region" hidden></div><div class="grips" hidden></div>
    </div>
  </div>
  <div class="tools" role="toolbar" aria-label="Image">
    {_button("zoom-out", "Zoom out")}<span class="zoom"></span>{_button("zoom-in", "Zoom in")}
    {_button("fit", "Whole image")}{_button("pan", "Move the image")}
    {_button("full", "Full screen")}{_button("edit", "Edit boxes")}
    <label class="threshold">Hide below <input class="min-score" type="range" min="0" max="0.95" step="0.05"
      aria-label="Hide boxes that are less probable than"><output></output></label>
  </div>
  <form class="editor" aria-label="Box" hidden>
    <input class="label" aria-label="What is in the box" placeholder="Pick or draw a box" maxlength="200">
    {_button("delete", "Delete box")}{_button("undo", "Undo")}{_button("redo", "Redo")}
    {_button("restore", "Back to the model's boxes")}
  </form>
  <p class="announced" role="status"></p>
  <ul class="phrases" aria-label="What was found"></ul>
  <div class="sheet" aria-hidden="true"></div>
</div>
"""
_mount = component("picture", _HTML)


@dataclass(frozen=True)
class Marks:
    """The boxes to show and those that the model found; `of` identifies the turn they belong to.

    `missing` are the phrases that were asked for and not found; `save` stores edited boxes.
    """

    of: str
    shown: Sequence[LabelledBox]
    found: Sequence[LabelledBox]
    missing: Sequence[str] = ()
    save: Callable[[tuple[LabelledBox, ...]], None] | None = None


def show_picture(
    image: StoredImage, marks: Marks, asked: int, min_score: float, keep_min_score: Callable[[float], None]
) -> Box | None:
    """Show an image with boxes and return the box for the next question.

    The box holds for one question: a new value of `asked` clears it. Boxes with a score below `min_score`
    are hidden; `keep_min_score` receives a new one chosen with the slider.
    """
    key = _key(image)

    def edited() -> None:
        if marks.save and (value := st.session_state[key].get("edited")):
            marks.save(tuple(_read(mark) for mark in value["marks"]))

    def min_score_chosen() -> None:
        if (value := st.session_state[key].get("threshold")) is not None:
            keep_min_score(float(value))

    data = {
        "url": f"pictures/{image.sha256}",
        "width": image.width,
        "height": image.height,
        "alt": _described(marks.shown),
        "marks": [_write(mark) for mark in marks.shown],
        "found": [_write(mark) for mark in marks.found],
        "missing": [" ".join(thing.split()) for thing in marks.missing],
        "of": marks.of,
        "canEdit": marks.save is not None,
        "palette": PALETTE,
        "unsure": UNSURE,
        "minScore": min_score,
        "asked": asked,
        "box": (st.session_state.get(key) or {}).get("box"),
    }
    listeners = {
        "on_edited_change": edited,
        "on_threshold_change": min_score_chosen,
        "on_box_change": nothing,
    }
    _mount(key=key, data=data, default={"box": None}, width="stretch", **listeners)
    return chosen_box(image, asked)


def chosen_box(image: StoredImage, asked: int) -> Box | None:
    """Return the box for the next question; may be called before the image is shown."""
    box = (st.session_state.get(_key(image)) or {}).get("box")
    if not box or box["asked"] != asked:
        return None
    left, top, right, bottom = box["corners"]
    return Box.from_pixels(left, top, right, bottom, image.width, image.height)


def _key(image: StoredImage) -> str:
    return f"picture-{image.sha256[:12]}"


def _write(mark: LabelledBox) -> dict[str, Any]:
    return {"text": " ".join(mark.phrase.split()), "corners": mark.corners, "score": mark.score}


def _read(mark: dict[str, Any]) -> LabelledBox:
    # Unrounded, so that untouched boxes compare equal to the originals.
    left, top, right, bottom = (float(value) for value in mark["corners"])
    return LabelledBox(str(mark["text"]), (left, top, right, bottom), mark["score"])


def _described(marks: Sequence[LabelledBox]) -> str:
    """Return the alternative text: the phrases and how many boxes each has."""
    if not marks:
        return "The image asked about"
    names = [mark.phrase or "something" for mark in marks]
    counted = ", ".join(f"{name} ({names.count(name)})" for name in dict.fromkeys(names))
    return f"The image asked about, with boxes around {counted}"
