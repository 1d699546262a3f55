"""The picture that is looked at, beside the conversation: its boxes, one to draw, and the other pictures."""

from __future__ import annotations

import streamlit as st

from assistant.storage import StoredImage, StoredTurn
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from . import resources, state
from .boxes import found_phrases, turn_with_boxes
from .picture import drawn_box, show_picture
from .state import SessionId
from .text import plain
from .thumbnails import show_thumbnails

QUESTION = "What is this?"


@st.fragment
def show(session_id: SessionId, turns: list[StoredTurn], image: StoredImage, task: Task | None) -> None:
    """Show the picture; a fragment, so that drawing a box draws nothing else anew."""
    _show_choice(session_id, turns, image)
    shown = turn_with_boxes(turns, image, state.boxes_of(session_id))
    phrases = found_phrases(shown, state.preferences().least_score) if shown else ()
    region = show_picture(_view(image), phrases, _key(session_id, image))
    if region is not None:
        if st.button(QUESTION, key="what", type="primary", icon=":material/help:", width="stretch"):
            state.put_question(session_id, state.Question(QUESTION, image, region, task))
            st.rerun()
    elif shown and shown.number != turns[-1].number:
        st.caption(f"Boxes of “{plain(shown.user, 60)}”")
    else:
        st.caption("Draw a box on the picture to ask about a part of it.")


def region(session_id: SessionId, image: StoredImage | None) -> Box | None:
    """Return the box that is drawn on the picture."""
    return drawn_box(_view(image), _key(session_id, image)) if image else None


def _view(image: StoredImage) -> resources.View:
    return resources.view(resources.store().image_path(image.sha256))


def _key(session_id: SessionId, image: StoredImage) -> str:
    """A box belongs to the picture and to the next question: both have a new one begin without it."""
    return f"box-{session_id}-{state.questions_asked()}-{image.sha256[:12]}"


def _show_choice(session_id: SessionId, turns: list[StoredTurn], image: StoredImage) -> None:
    known = state.pictures(session_id, turns)
    if len(known) < 2:
        return
    store = resources.store()
    urls = [resources.thumbnail(store.image_path(picture.sha256)) for picture in known]
    picked = show_thumbnails(urls, known.index(image), f"pictures-{session_id}")
    if picked is not None and known[picked] != image:
        state.look_at(session_id, known[picked])
        st.rerun()


__all__ = ["QUESTION", "region", "show"]
