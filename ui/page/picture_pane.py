"""The picture that is looked at, beside the conversation: to draw a box on, or to take another one."""

from __future__ import annotations

import streamlit as st

from assistant.storage import StoredImage, StoredTurn
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from . import resources, state
from .boxpick import pick_box, picked_box

QUESTION = "What is this?"


@st.fragment
def show(session_id: str | None, turns: list[StoredTurn], image: StoredImage, task: Task | None) -> None:
    """Show the picture; a fragment, so that drawing does not interrupt an answer."""
    _show_choice(session_id, turns, image)
    region = pick_box(_view(image), _key(session_id, turns, image))
    if region is None:
        st.caption("Draw a box on the picture to ask about a part of it.")
    elif st.button(QUESTION, key="what", type="primary", icon=":material/help:", width="stretch"):
        state.put_question(state.Question(QUESTION, image, region, task))
        st.rerun()


def region(session_id: str | None, turns: list[StoredTurn], image: StoredImage | None) -> Box | None:
    """Return the box that is drawn on the picture."""
    return picked_box(_view(image), _key(session_id, turns, image)) if image else None


def _view(image: StoredImage) -> resources.View:
    return resources.view(resources.store().image_path(image.sha256))


def _key(session_id: str | None, turns: list[StoredTurn], image: StoredImage) -> str:
    """A box belongs to the picture and to the next question: both have a new one begin without it."""
    return f"box-{session_id}-{len(turns)}-{image.sha256[:12]}"


def _show_choice(session_id: str | None, turns: list[StoredTurn], image: StoredImage) -> None:
    known = state.pictures(session_id, turns)
    if len(known) < 2:
        return
    names = {picture.sha256: f"Picture {number}" for number, picture in enumerate(known, 1)}
    chosen = st.segmented_control(
        "Picture",
        list(names),
        format_func=names.__getitem__,
        default=image.sha256,
        required=True,
        key=f"choice-{session_id}-{len(known)}-{image.sha256[:12]}",
        label_visibility="collapsed",
    )
    if chosen != image.sha256:
        state.look_at(session_id, next(picture for picture in known if picture.sha256 == chosen))
        st.rerun()


__all__ = ["QUESTION", "region", "show"]
