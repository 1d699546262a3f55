"""The image pane next to the conversation: the image, its boxes, and thumbnails of the others."""

from __future__ import annotations

from functools import partial

import streamlit as st

from assistant.storage import LabelledBox, NewTurn, StoredImage, StoredStep, StoredTurn
from assistant.storage.records import found_boxes, labelled_boxes
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from . import resources, state
from .boxes import missing, turn_with_boxes
from .component import component, nothing
from .picture import Marks, chosen_box, show_picture
from .state import SessionId
from .text import plain

QUESTION = "What is this?"
_NONE = Marks("", (), ())
_CORRECTED = "corrected"
_mount_thumbnails = component(
    "thumbnails", '<div class="strip" role="group" aria-label="Images of this session"></div>'
)


@st.fragment
def show(session_id: SessionId, image: StoredImage, task: Task | None) -> None:
    """Show the image; as a fragment, so that an edited box does not rerun the whole page."""
    turns = resources.store().turns(session_id) if session_id else []
    _show_choice(session_id, turns, image)
    shown = turn_with_boxes(turns, image, state.boxes_of(session_id))
    min_score = state.preferences().min_score
    marks = _growing(session_id, image) or _marks(shown)
    region = show_picture(
        image, marks, state.scroll_count(), min_score, lambda chosen: state.set_preferences(min_score=chosen)
    )
    if st.session_state.pop(_CORRECTED, False):
        st.rerun()
    if region is not None:
        if st.button(QUESTION, key="what", type="primary", icon=":material/help:", width="stretch"):
            state.queue_question(session_id, state.Question(QUESTION, image, region, task))
            st.rerun()
    elif shown and shown.number != turns[-1].number:
        st.caption(f"Boxes of “{plain(shown.user, 60)}”")
    else:
        st.caption("Draw a box on the image to ask about a part of it.")


def region(image: StoredImage | None) -> Box | None:
    """Return the box drawn or picked on the image."""
    return chosen_box(image, state.scroll_count()) if image else None


def _growing(session_id: SessionId, image: StoredImage) -> Marks | None:
    """Return the boxes of the running answer so far, None if it has none yet."""
    running = state.running(session_id)
    if running is None or running.question.image != image or not running.answering.phrases:
        return None
    step = StoredStep(Task.DETECTION, phrases=running.answering.phrases)
    found = found_boxes(NewTurn(running.question.message, "", image, steps=(step,)))
    return Marks("growing", found, found)


def _marks(turn: StoredTurn | None) -> Marks:
    if turn is None:
        return _NONE
    whose = f"{turn.session_id} {turn.number} {turn.created}"
    return Marks(whose, labelled_boxes(turn), found_boxes(turn), missing(turn), partial(_save, turn))


def _save(turn: StoredTurn, boxes: tuple[LabelledBox, ...]) -> None:
    """Save edited boxes as corrections; boxes equal to the model's clear them.

    The first correction, and clearing them, change what the rest of the page shows about the turn.
    """
    corrected = None if boxes == found_boxes(turn) else boxes
    st.session_state[_CORRECTED] = (corrected is None) != (turn.corrections is None)
    resources.store().set_corrections(turn.session_id, turn.number, corrected)


def _show_choice(session_id: SessionId, turns: list[StoredTurn], image: StoredImage) -> None:
    """Show the thumbnails of several images, and the switch to ask about all."""
    known = state.pictures(session_id, turns)
    if len(known) < 2:
        return
    data = {"urls": [f"thumbnails/{one.sha256}" for one in known], "current": known.index(image)}
    strip = _mount_thumbnails(
        key=f"pictures-{session_id}", data=data, on_picked_change=nothing, width="stretch"
    )
    if strip.picked is not None and known[strip.picked] != image:
        state.select_picture(session_id, known[strip.picked])
        st.rerun()
    st.toggle(f"Ask about all {len(known)} images", key=state.all_key(session_id))
