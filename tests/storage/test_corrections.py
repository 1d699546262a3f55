"""Corrected boxes of a turn, and their export formats."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from xml.etree.ElementTree import fromstring

import pytest

from assistant.storage import LabelledBox, NewTurn, SessionNotFoundError, SessionStore, StoredStep
from assistant.storage.records import found_boxes, labelled_boxes
from assistant.vlm.grounding import Box, GroundedPhrase

MakePicture = Callable[..., bytes]
MINE = (LabelledBox('A "red" Dog', (10, 20, 110, 70)), LabelledBox("", (0, 0, 200, 100), 0.5))


@pytest.fixture
def session_id(store: SessionStore, make_picture: MakePicture) -> str:
    """A session with one image of 200 x 100 pixels and one box of the model."""
    session_id = store.create_session("Dogs").id
    image = store.add_image(make_picture("red", (200, 100)))
    phrases = (GroundedPhrase("", (Box(10, 10, 50, 60, 0.7),)),)
    step = StoredStep("refer", "the dog", phrases=phrases)
    store.append_turn(session_id, NewTurn("Where is the dog?", "There.", image=image, steps=(step,)))
    return session_id


def test_corrections_do_not_replace_the_models_boxes_and_can_be_removed(
    store: SessionStore, session_id: str
) -> None:
    own = (LabelledBox("the dog", (20, 10, 100, 60), 0.7),)
    [turn] = store.turns(session_id)
    assert turn.corrections is None
    assert labelled_boxes(turn) == found_boxes(turn) == own
    store.set_corrections(session_id, 1, MINE)
    [turn] = store.turns(session_id)
    assert labelled_boxes(turn) == turn.corrections == MINE
    assert found_boxes(turn) == own
    store.set_corrections(session_id, 1, ())
    assert labelled_boxes(store.turns(session_id)[0]) == ()
    store.set_corrections(session_id, 1, None)
    assert labelled_boxes(store.turns(session_id)[0]) == own


def test_a_turn_that_is_not_there_has_no_corrections(store: SessionStore, session_id: str) -> None:
    with pytest.raises(SessionNotFoundError, match="no turn 7"):
        store.set_corrections(session_id, 7, MINE)


@pytest.mark.parametrize("corners", [(5, 0, 4, 9), (-1, 0, 4, 9), (0, 9, 4, 8)])
def test_corners_in_the_wrong_order_are_refused(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="not a box"):
        LabelledBox("dog", corners)


def test_coco_has_the_corrected_boxes(store: SessionStore, session_id: str) -> None:
    store.set_corrections(session_id, 1, MINE)
    content = json.loads(store.export(session_id, "coco"))
    assert [category["name"] for category in content["categories"]] == ['a "red" dog', "object"]
    assert [item["bbox"] for item in content["annotations"]] == [[10, 20, 100, 50], [0, 0, 200, 100]]


def test_yolo_has_a_line_for_each_box_and_the_pictures(store: SessionStore, session_id: str) -> None:
    store.set_corrections(session_id, 1, MINE)
    archive = zipfile.ZipFile(BytesIO(store.export(session_id, "yolo")))
    [image] = [name for name in archive.namelist() if name.startswith("images/")]
    [label] = [name for name in archive.namelist() if name.startswith("labels/")]
    assert label.removeprefix("labels/").partition(".")[0] == image.removeprefix("images/").partition(".")[0]
    first = "0 0.300000 0.450000 0.500000 0.500000\n"
    assert archive.read(label).decode() == first + "1 0.500000 0.500000 1.000000 1.000000\n"
    assert b'  0: "a \\"red\\" dog"\n  1: "object"\n' in archive.read("data.yaml")


def test_pascal_voc_counts_pixels_from_one(store: SessionStore, session_id: str) -> None:
    archive = zipfile.ZipFile(BytesIO(store.export(session_id, "voc")))
    [file] = [name for name in archive.namelist() if name.startswith("Annotations/")]
    annotation = fromstring(archive.read(file))
    assert annotation.findtext("object/name") == "the dog"
    assert [int(corner.text or 0) for corner in annotation.find("object/bndbox") or []] == [21, 11, 100, 60]
    assert annotation.findtext("size/width") == "200"
    assert f"JPEGImages/{annotation.findtext('filename')}" in archive.namelist()


def test_sessions_are_known_by_their_first_question_and_picture(store: SessionStore, session_id: str) -> None:
    store.append_turn(session_id, NewTurn("And now?", "Gone."))
    [turn, _] = store.turns(session_id)
    assert turn.image is not None
    other = store.create_session("empty").id
    first = {session_id: ("Where is the dog?", turn.image.sha256)}
    assert store.first_turns([session_id, other]) == first


def test_pinned_sessions_are_listed_first(store: SessionStore) -> None:
    first, second = store.create_session("first").id, store.create_session("second").id
    assert store.pin_session(first, True).pinned
    assert [session.id for session in store.list_sessions()] == [first, second]
    store.pin_session(first, False)
    store.pin_session(second, True)
    assert [session.id for session in store.list_sessions()] == [second, first]
