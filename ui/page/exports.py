"""Download a session in several formats; each file is built on click, so it holds the newest turn."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import streamlit as st

from assistant.storage import SessionStore
from assistant.storage.records import labelled_boxes
from assistant.vlm.drawing import draw
from assistant.vlm.pictures import open_picture

from .boxes import phrases_of, turn_with_boxes
from .training_export import good_answers, training_lines

TRAINING = "Corrections and good answers to train on"

Export = Callable[[SessionStore, str], str | bytes]


def downloads(store: SessionStore, session_id: str) -> None:
    """Show a download button for each export format."""
    _download("JSON with pictures", "json", "application/json", SessionStore.export_json, store, session_id)
    _download("Boxes as COCO", "coco.json", "application/json", SessionStore.export_coco, store, session_id)
    _download("Boxes as YOLO", "yolo.zip", "application/zip", SessionStore.export_yolo, store, session_id)
    _download(
        "Boxes as Pascal VOC", "voc.zip", "application/zip", SessionStore.export_pascal_voc, store, session_id
    )
    _download("Markdown with pictures", "zip", "application/zip", markdown_archive, store, session_id)
    turns = store.turns(session_id)
    if any(map(training_lines, turns)):
        _download(TRAINING, "own.zip", "application/zip", good_answers, store, session_id)
        st.caption("Unpack it, and train on it:")
        st.code("assistant train --data own.jsonl --out runs/own", language=None)
    shown = turn_with_boxes(turns)
    if shown and labelled_boxes(shown):
        _download("Last picture with boxes", "png", "image/png", annotated_png, store, session_id)


def _download(
    label: str, extension: str, mime: str, export: Export, store: SessionStore, session_id: str
) -> None:
    st.download_button(
        label,
        lambda: export(store, session_id),
        f"session-{session_id}.{extension}",
        mime,
        icon=":material/download:",
        width="stretch",
        on_click="ignore",
        key=f"download-{extension}",
    )


def annotated_png(store: SessionStore, session_id: str) -> bytes:
    """Return the picture of the newest turn that has boxes, with the boxes drawn on it."""
    turn = turn_with_boxes(store.turns(session_id))
    buffer = BytesIO()
    if turn is not None and turn.image is not None:
        picture = open_picture(store.image_path(turn.image.sha256))
        draw(picture.image, phrases_of(turn)).save(buffer, "PNG")
    return buffer.getvalue()


def markdown_archive(store: SessionStore, session_id: str) -> bytes:
    """Return a zip archive of the conversation as Markdown and its pictures."""
    buffer = BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w") as archive:
        store.export_markdown(session_id, Path(folder))
        for file in sorted(Path(folder).iterdir()):
            archive.write(file, file.name)
    return buffer.getvalue()


__all__ = ["annotated_png", "downloads", "markdown_archive"]
