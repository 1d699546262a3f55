"""Download a session in several formats; each file is built on click, so it holds the newest turn."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from functools import partial
from io import BytesIO

import streamlit as st

from assistant.storage import SessionStore
from assistant.storage.exporting import FORMATS
from assistant.storage.records import labelled_boxes

from .boxes import drawn, turn_with_boxes
from .training_export import good_answers, training_lines

TRAINING = "Train on my corrections"


def downloads(store: SessionStore, session_id: str) -> None:
    """Show a download button for each export format."""
    for name, form in FORMATS.items():
        _download(form.title, form.ending, partial(store.export, session_id, name), session_id)
    turns = store.turns(session_id)
    if any(map(training_lines, turns)):
        _download(TRAINING, "own.zip", partial(good_answers, store, session_id), session_id)
        st.caption("Corrected boxes, and answers with a thumb up. Unpack them, then run:")
        st.code("assistant train --data own.jsonl --out runs/own", language=None)
    shown = turn_with_boxes(turns)
    if shown and labelled_boxes(shown):
        _download("Last image with boxes", "png", partial(annotated_png, store, session_id), session_id)


def _download(label: str, ending: str, export: Callable[[], bytes], session_id: str) -> None:
    name = f"session-{session_id}.{ending}"
    st.download_button(
        label,
        export,
        name,
        mimetypes.guess_type(name)[0],
        icon=":material/download:",
        width="stretch",
        on_click="ignore",
        key=f"download-{ending}",
    )


def annotated_png(store: SessionStore, session_id: str) -> bytes:
    """Return the image of the newest turn that has boxes, with the boxes drawn on it."""
    turn = turn_with_boxes(store.turns(session_id))
    buffer = BytesIO()
    if turn is not None and turn.image is not None:
        drawn(store, turn).save(buffer, "PNG")
    return buffer.getvalue()
