"""Sessions exported as files and as training data."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from assistant.storage import (
    LabelledBox,
    SessionStore,
    StoredImage,
    StoredStep,
    StoredTurn,
)
from assistant.tests.page.conftest import png
from assistant.tests.page.page_driver import (
    Open,
    only_session,
    send,
)
from assistant.ui.page import (
    exports,
    training_export,
)
from assistant.vlm.data.records import Record, TaskTurn
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.grounding import Box, GroundedPhrase, parse
from assistant.vlm.tasks import Task


def test_a_session_is_exported_in_every_format(open_page: Open, store: SessionStore, picture: bytes) -> None:
    send(open_page(), "Where is the square?", ("red.png", picture))
    session_id = only_session(store)
    assert json.loads(store.export(session_id, "coco"))["annotations"][0]["bbox"] == [120, 240, 230, 496]
    drawn = Image.open(BytesIO(exports.annotated_png(store, session_id)))
    assert (drawn.format, drawn.size) == ("PNG", (1000, 800))
    with zipfile.ZipFile(BytesIO(store.export(session_id, "markdown"))) as archive:
        assert archive.namelist() == ["conversation.md", "picture-1.png"]


def test_answers_with_a_thumb_up_are_exported_for_training(
    open_page: Open, store: SessionStore, picture: bytes, tmp_path: Path
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    send(tab, "What colour is it?")
    tab.feedback[0].set_value(1).run()
    tab.feedback[1].set_value(0).run()
    with zipfile.ZipFile(BytesIO(training_export.good_answers(store, only_session(store)))) as archive:
        archive.extractall(tmp_path)
    [record] = learnt(tmp_path / "own.jsonl")
    assert record.picture is not None
    assert Path(record.picture.path).read_bytes() == picture
    assert record.turns == (TaskTurn(Task.REFER, "the square", "{<12><30><35><92>}"),)


@pytest.mark.parametrize(
    ("task", "boxes", "line"),
    [
        (Task.REFER, 1, {"task": "refer", "ask": "dogs", "answer": [[1, 2, 30, 40]]}),
        (Task.REFER, 0, {"task": "refer", "ask": "dogs", "answer": "not in the image"}),
        (
            Task.DETECTION,
            2,
            {"task": "detection", "ask": "dogs", "answer": {"dog": [[1, 2, 30, 40], [1, 2, 30, 40]]}},
        ),
        (Task.CAPTION, 1, {"task": "detection", "answer": {"dog": [[1, 2, 30, 40]]}}),
    ],
)
def test_training_uses_the_corrected_boxes(
    task: Task, boxes: int, line: dict[str, object], tmp_path: Path
) -> None:
    image = StoredImage("0" * 64, "PNG", 333, 77, 1)
    corrected = (LabelledBox("Dog", (1, 2, 30, 40)),) * boxes
    turn = replace(turn_of(StoredStep(task, "dogs", raw="?"), image), corrections=corrected, feedback=None)
    assert training_export.training_lines(turn) == [line]
    (tmp_path / "red.png").write_bytes(png(333, 77))
    (tmp_path / "own.jsonl").write_text(json.dumps({"image": "red.png"} | line))
    assert len(learnt(tmp_path / "own.jsonl")) == 1


def learnt(file: Path) -> list[Record]:
    """Return the samples that training reads from a user's own data file."""
    source = OwnRecords(file)
    return [record for line in file.read_bytes().splitlines() for record in source.records(line)]


REGION = Box(20, 20, 50, 60)
GROUNDED = "<p>a dog</p>{<0><0><35><100>} in <p>snow</p>{<7><7><7><7>}"


@pytest.mark.parametrize(
    ("step", "learnt_turn"),
    [
        (StoredStep("caption", raw="a dog"), TaskTurn(Task.CAPTION, "", "a dog")),
        (StoredStep("vqa", "what?", REGION, raw="red"), TaskTurn(Task.VQA, "what?", "red")),
        (StoredStep("identify", "", REGION, raw="cup"), TaskTurn(Task.IDENTIFY, "", "cup", REGION)),
        (StoredStep(None, "hello", raw="Hello."), TaskTurn(None, "hello", "Hello.")),
        (
            StoredStep(
                "detection", "dogs", raw="?", phrases=(GroundedPhrase("dogs", (REGION, Box(0, 0, 1, 100))),)
            ),
            TaskTurn(Task.DETECTION, "dogs", "<p>dogs</p> {<20><20><50><60>}<delim>{<0><0><1><100>}"),
        ),
        (
            StoredStep("grounding", raw=GROUNDED, phrases=parse(GROUNDED).phrases),
            TaskTurn(Task.GROUNDING, "", GROUNDED),
        ),
    ],
)
def test_exported_training_data_is_read_as_it_was_answered(
    step: StoredStep, learnt_turn: TaskTurn, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(png(333, 77))
    image = StoredImage("0" * 64, "PNG", 333, 77, 1)
    [line] = training_export.training_lines(turn_of(step, image))
    (tmp_path / "own.jsonl").write_text(json.dumps({"image": "red.png"} | line))
    [record] = learnt(tmp_path / "own.jsonl")
    assert record.turns == (learnt_turn,)


@pytest.mark.parametrize(
    "step",
    [
        StoredStep("caption", "", REGION, raw="a dog"),
        StoredStep("refer", "dogs", raw="?", phrases=(GroundedPhrase("", (REGION, REGION)),)),
        StoredStep("detection", "dogs", raw="none"),
        StoredStep("grounding", raw=f"{GROUNDED} {GROUNDED}", phrases=parse(GROUNDED).phrases),
        StoredStep("vqa", "what?", raw="red", error="it broke"),
    ],
)
def test_an_answer_that_has_no_training_format_is_left_out(step: StoredStep) -> None:
    assert training_export.training_lines(turn_of(step, StoredImage("0" * 64, "PNG", 333, 77, 1))) == []


def turn_of(step: StoredStep, image: StoredImage | None = None) -> StoredTurn:
    return StoredTurn(
        "?", "!", image, steps=(step,), session_id="s", number=1, created=datetime.now(UTC), feedback=1
    )
