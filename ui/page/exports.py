"""A session as files to take away; each is made when it is asked for, so that it holds the newest turn."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import streamlit as st

from assistant.storage import SessionStore, StoredStep, StoredTurn
from assistant.storage.records import distinct_images
from assistant.ui.render import draw
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task, instruction

from .boxes import found_phrases, turn_with_boxes

Export = Callable[[SessionStore, str], str | bytes]


def downloads(store: SessionStore, session_id: str) -> None:
    """Show a button for each form that a session can be taken away in."""
    _download("JSON with pictures", "json", "application/json", SessionStore.export_json, store, session_id)
    _download("Boxes as COCO", "coco.json", "application/json", SessionStore.export_coco, store, session_id)
    _download("Markdown with pictures", "zip", "application/zip", markdown_archive, store, session_id)
    turns = store.turns(session_id)
    if any(turn.feedback for turn in turns):
        _download(
            "Rated answers for training", "rated.zip", "application/zip", rated_answers, store, session_id
        )
    if turn_with_boxes(turns):
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
    """Return the picture of the newest turn with boxes, whole and with them drawn on it."""
    turn = turn_with_boxes(store.turns(session_id))
    buffer = BytesIO()
    if turn is not None and turn.image is not None:
        picture = open_picture(store.image_path(turn.image.sha256))
        draw(picture.image, found_phrases(turn)).save(buffer, "PNG")
    return buffer.getvalue()


def rated_answers(store: SessionStore, session_id: str) -> bytes:
    """Return the steps of answers with a thumb, as an archive to learn from: `answers.jsonl` and pictures.

    A line has `image` (a file's name, or null), `region` (corners of the part asked about in hundredths of
    the picture, or null; but for `identify` the model saw that part alone), `task` (null: conversation),
    `instruction` (what the model read), `answer` (what it wrote) and `feedback` (1 good, -1 bad).
    """
    rated = [turn for turn in store.turns(session_id) if turn.feedback]
    files = {image.sha256: store.image_path(image.sha256) for image in distinct_images(rated)}
    lines = [
        json.dumps(_lesson(turn, step, files), ensure_ascii=False)
        for turn in rated
        for step in turn.steps
        if step.error is None
    ]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("answers.jsonl", "".join(f"{line}\n" for line in lines))
        for file in files.values():
            archive.write(file, file.name)
    return buffer.getvalue()


def _lesson(turn: StoredTurn, step: StoredStep, files: dict[str, Path]) -> dict[str, object]:
    task = Task(step.task) if step.task else None
    return {
        "image": files[turn.image.sha256].name if turn.image else None,
        "region": step.region.bins if step.region else None,
        "task": task,
        "instruction": instruction(task, step.argument, step.region if task is Task.IDENTIFY else None),
        "answer": step.raw,
        "feedback": turn.feedback,
    }


def markdown_archive(store: SessionStore, session_id: str) -> bytes:
    """Return the conversation as Markdown and its pictures, in a zip archive."""
    buffer = BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w") as archive:
        store.export_markdown(session_id, Path(folder))
        for file in sorted(Path(folder).iterdir()):
            archive.write(file, file.name)
    return buffer.getvalue()


__all__ = ["annotated_png", "downloads", "markdown_archive", "rated_answers"]
