"""Exports, and importing one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assistant.storage import (
    ExchangeError,
    LabelledBox,
    NewTurn,
    SessionNotFoundError,
    SessionStore,
    StorageError,
    StoredStep,
    Verification,
)
from assistant.storage.exporting import FORMATS
from assistant.vlm.grounding import Box, GroundedPhrase

CORRECTED = (LabelledBox("a Man", (3, 5, 151, 99), None), LabelledBox("", (0, 0, 20, 10), 0.25))

MakePicture = Callable[..., bytes]
MakeTurn = Callable[..., NewTurn]


@pytest.fixture
def fill(make_picture: MakePicture, make_turn: MakeTurn) -> Callable[[SessionStore], str]:
    """Make a session with two images and every field set."""
    return lambda store: _fill(store, make_picture, make_turn)


@pytest.fixture
def session_id(store: SessionStore, fill: Callable[[SessionStore], str]) -> str:
    """The session in the store."""
    return fill(store)


def _fill(store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn) -> str:
    session_id = store.create_session("A *walk* in the <park>").id
    red, blue = store.add_image(make_picture("red", (200, 100))), store.add_image(make_picture("blue"))
    store.append_turn(session_id, make_turn(image=red))
    store.append_turn(session_id, make_turn("And here?\nIn this one", "Nobody. ![x](http://x)", image=blue))
    store.append_turn(session_id, make_turn("狗?", "no image"))
    store.append_turn(session_id, NewTurn("", ""))
    store.set_feedback(session_id, 2, -1)
    store.set_corrections(session_id, 1, CORRECTED)
    store.pin_session(session_id, True)
    return session_id


class TestJson:
    def test_export_import_export_is_the_identity_but_for_the_sessions_id(
        self, store: SessionStore, session_id: str
    ) -> None:
        exported = store.export_json(session_id)
        imported = store.import_json(exported)
        assert imported.id != session_id
        assert store.export_json(imported.id).replace(imported.id, session_id) == exported
        assert imported.updated == store.get_session(session_id).updated

    def test_a_session_moves_to_another_store_with_its_pictures(
        self, store: SessionStore, session_id: str, tmp_path: Path, make_picture: MakePicture
    ) -> None:
        with SessionStore.open(tmp_path / "other" / "store.db") as other:
            imported = other.import_json(store.export_json(session_id).encode())
            turns = other.turns(imported.id)
            assert [turn.number for turn in turns] == [1, 2, 3, 4]
            assert turns[0].steps == store.turns(session_id)[0].steps
            image = turns[0].image
            assert image is not None
            assert other.image_path(image.sha256).read_bytes() == make_picture("red", (200, 100))
            assert other.verify() == []
            assert [hit.number for hit in other.search("nobody")] == [2]

    def test_the_format_is_stable(self, store: SessionStore, session_id: str) -> None:
        content = json.loads(store.export_json(session_id))
        assert list(content) == ["version", "session", "images", "turns"]
        assert content["version"] == 3
        assert sorted(content["session"]) == ["created", "id", "pinned", "title", "updated"]
        assert sorted(content["images"][0]) == ["data", "format", "height", "sha256", "size", "width"]
        turn = content["turns"][0]
        assert sorted(turn) == sorted(
            [
                "number",
                "user",
                "region",
                "image",
                "answer",
                "model",
                "seconds",
                "created",
                "feedback",
                "why",
                "stopped",
                "corrections",
                "steps",
            ]
        )
        assert turn["region"] == [10, 20, 30, 40]
        assert turn["created"].endswith("Z")
        assert turn["steps"][0] == {
            "task": "refer",
            "argument": "the man",
            "region": [1, 1, 9, 9],
            "text": "t",
            "raw": "{<12>}",
            "phrases": [
                {
                    "text": "the man",
                    "start": 4,
                    "boxes": [
                        {
                            "bins": [12, 30, 35, 92],
                            "score": 0.83,
                            "verification": {"agrees": False, "opinion": "a tree"},
                        },
                        {"bins": [0, 0, 100, 100], "score": None, "verification": None},
                    ],
                }
            ],
            "seconds": 0.41,
            "model": "nano",
            "error": None,
        }

    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_an_export_of_every_version_is_read(self, store: SessionStore, version: int) -> None:
        """The file was written by the first program with version 3."""
        content = json.loads(Path(__file__).with_name("exported-v3.json").read_text(encoding="utf-8"))
        content["version"] = version
        if version < 3:
            del content["session"]["pinned"]
        for turn in content["turns"]:
            for name in {1: ("why", "stopped", "corrections"), 2: ("corrections",), 3: ()}[version]:
                del turn[name]
            for phrase in (phrase for step in turn["steps"] for phrase in step["phrases"]):
                for box in phrase["boxes"] if version < 2 else ():
                    del box["verification"]
        session = store.import_json(json.dumps(content))
        turn, other = store.turns(session.id)
        assert (session.title, session.pinned, session.turns) == ("A walk", version == 3, 2)
        assert (turn.user, turn.region, turn.feedback) == ("Where is the man?", Box(10, 20, 30, 40), 1)
        assert (turn.why, turn.stopped) == (("because", True) if version > 1 else ("", False))
        assert turn.image is not None
        assert (turn.image.width, turn.image.height, turn.image.size) == (8, 6, 75)
        assert turn.created.isoformat() == "2026-11-29T11:16:54.814036+00:00"
        mine = (LabelledBox("a man", (1, 2, 4.5, 6), 0.5), LabelledBox("", (0, 0, 8, 6)))
        assert turn.corrections == (mine if version == 3 else None)
        refer, chat = turn.steps
        man = GroundedPhrase("the man", (Box(12, 30, 35, 92), Box(0, 0, 100, 100)))
        assert (refer.phrases, refer.phrases[0].start) == ((man,), 4)
        assert [box.score for box in refer.phrases[0].boxes] == [0.83, None]
        assert refer.verifications == ((Verification(False, "a tree"), None) if version > 1 else ())
        assert (refer.task, refer.argument, refer.region) == ("refer", "the man", Box(1, 1, 9, 9))
        assert (chat.task, chat.phrases, chat.error) == (None, (), "the model gave up")
        assert (other.user, other.image, other.steps) == ("And?", None, ())

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            pytest.param("version", 4, r"^version: 4 is unknown.*update", id="another version"),
            pytest.param("version", None, r"^version: ", id="no version"),
            pytest.param("version", "9" * 9999, r"^version: '9+… is unknown", id="a long version"),
            pytest.param("x" * 9999, 1, r"^x+…: there is no", id="a long name"),
            pytest.param("a\nb", 1, r"^a b: there is no", id="a name of two lines"),
            pytest.param("turns.1.number", 7, r"^turns\[1\]\.number: must be 2", id="a gap"),
            pytest.param("turns.0.image", "0" * 64, r"^turns\[0\]\.image: ", id="no such image"),
            pytest.param("turns.0.image", "../../x", r"^turns\[0\]\.image: ", id="no hash"),
            pytest.param("turns.0.region", [1, 2, 3], r"^turns\[0\]\.region", id="three corners"),
            pytest.param("turns.0.region", [9, 2, 3, 4], r"^turns\[0\]\.region: .*0\.\.100", id="swapped"),
            pytest.param("turns.0.seconds", -1, r"^turns\[0\]\.seconds", id="a negative duration"),
            pytest.param("turns.0.seconds", "1", r"^turns\[0\]\.seconds", id="a number as text"),
            pytest.param("turns.0.feedback", 5, r"^turns\[0\]\.feedback", id="too good"),
            pytest.param("turns.0.created", "yesterday", r"^turns\[0\]\.created", id="no time"),
            pytest.param("turns.0.created", "2026-01-01T00:00:00", r"^turns\[0\]\.created", id="no zone"),
            pytest.param(
                "session.updated", "0001-01-01T00:00:00+14:00", r"^session\.updated: ", id="before time"
            ),
            pytest.param("turns.0.extra", 1, r"^turns\[0\]\.extra: there is no", id="an unknown field"),
            pytest.param(
                "turns.0.steps.0.phrases.0.boxes", [], r"^turns\[0\]\.steps\[0\]\.phrases\[0\]", id="no box"
            ),
            pytest.param(
                "turns.0.steps.0.phrases.0.start", 2**80, r"phrases\[0\]\.start", id="a huge number"
            ),
            pytest.param("turns.0.steps.0.phrases.0.boxes.0.score", 2, r"boxes\[0\]\.score", id="too sure"),
            pytest.param("images.0.data", "????", r"^images\[0\]\.data", id="no base64"),
            pytest.param("images.0.data", "aGVsbG8=", r"^images\[0\]\.data: .*damaged", id="no image"),
            pytest.param("images.0.sha256", "0" * 64, r"^images\[0\]\.data: .*sha256 is", id="another hash"),
            pytest.param("images.0.width", 5, r"^images\[0\]\.data: .*width is", id="another width"),
            pytest.param("session", [], r"^session", id="no session"),
        ],
    )
    def test_an_invalid_file_is_an_error_that_names_the_field(
        self,
        sqlite_store: SessionStore,
        fill: Callable[[SessionStore], str],
        field: str,
        value: object,
        message: str,
    ) -> None:
        content = json.loads(sqlite_store.export_json(fill(sqlite_store)))
        put(content, field, value)
        with pytest.raises(ExchangeError, match=message) as caught:
            sqlite_store.import_json(json.dumps(content))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
        assert len(sqlite_store.list_sessions()) == 1

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_other_encodings_are_read(
        self, sqlite_store: SessionStore, fill: Callable[[SessionStore], str], encoding: str
    ) -> None:
        exported = sqlite_store.export_json(fill(sqlite_store))
        imported = sqlite_store.import_json(exported.encode(encoding))
        assert [turn.user for turn in sqlite_store.turns(imported.id)][2] == "狗?"

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", b"\xff\xfe", "[" * 100_000])
    def test_a_file_that_is_no_export_is_an_error(
        self, sqlite_store: SessionStore, content: str | bytes
    ) -> None:
        with pytest.raises(ExchangeError, match=r"export the session again|version"):
            sqlite_store.import_json(content)

    def test_a_failed_import_leaves_nothing(
        self, store: SessionStore, session_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from assistant.storage import rows

        exported = store.export_json(session_id)
        insert = rows.insert_turn

        def fail_at_3(*arguments: Any, **columns: Any) -> None:
            if arguments[2] == 3:
                raise StorageError("stop")
            insert(*arguments, **columns)

        monkeypatch.setattr(rows, "insert_turn", fail_at_3)
        with pytest.raises(StorageError, match="stop"):
            store.import_json(exported)
        assert len(store.list_sessions()) == 1
        assert store.verify() == []


class TestCoco:
    def test_boxes_are_in_pixels_of_their_images(self, store: SessionStore, session_id: str) -> None:
        store.set_corrections(session_id, 1, None)
        content = json.loads(store.export(session_id, "coco"))
        assert [(image["width"], image["height"]) for image in content["images"]] == [(200, 100), (64, 48)]
        first = content["annotations"][0]
        assert first["bbox"] == pytest.approx([24.0, 30.0, 46.0, 62.0])
        assert first["area"] == pytest.approx(46.0 * 62.0)
        assert (first["score"], first["iscrowd"], first["image_id"]) == (0.83, 0, 1)
        assert [annotation["id"] for annotation in content["annotations"]] == list(range(1, 9))
        assert {annotation["image_id"] for annotation in content["annotations"]} == {1, 2}

    def test_categories_are_the_phrases_or_the_arguments(
        self, store: SessionStore, make_picture: MakePicture
    ) -> None:
        image = store.add_image(make_picture())
        session_id = store.create_session().id
        nameless = (GroundedPhrase("", (Box(1, 2, 3, 4),)),)
        steps = (
            StoredStep("detection", "dogs", phrases=(GroundedPhrase("A Dog", (Box(1, 2, 3, 4),)),)),
            StoredStep("refer", "the cat", phrases=nameless),
            StoredStep(None, phrases=nameless),
        )
        store.append_turn(session_id, NewTurn("q", "a", image, steps=steps))
        content = json.loads(store.export(session_id, "coco"))
        names = {category["id"]: category["name"] for category in content["categories"]}
        found = [names[annotation["category_id"]] for annotation in content["annotations"]]
        assert found == ["a dog", "the cat", "object"]

    def test_file_names_are_those_of_the_store(self, store: SessionStore, session_id: str) -> None:
        for image in json.loads(store.export(session_id, "coco"))["images"]:
            assert store.image_path(Path(image["file_name"]).stem).name == image["file_name"]


def markdown(store: SessionStore, session_id: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(store.export(session_id, "markdown")))


class TestMarkdown:
    def test_the_archive_has_the_conversation_and_its_images(
        self, store: SessionStore, session_id: str
    ) -> None:
        archive = markdown(store, session_id)
        assert archive.namelist() == ["conversation.md", "picture-1.png", "picture-2.png"]
        with archive.open("picture-1.png") as file, Image.open(file) as picture:
            assert picture.size == (200, 100)
        text = archive.read("conversation.md").decode()
        assert text.index("![picture-1](picture-1.png)") < text.index("Where is the man?")
        assert text.index("On the left.") < text.index("![picture-2](picture-2.png)")
        assert "> And here?  \n> In this one" in text
        assert "the man: (12, 30) to (35, 92) (83%; when checked, the model says: a tree); (0, 0)" in text
        assert "ended early" in text
        assert "the model gave up" in text

    def test_text_does_not_become_markup(self, store: SessionStore, session_id: str) -> None:
        text = markdown(store, session_id).read("conversation.md").decode()
        assert text.startswith("# A \\*walk\\* in the \\<park\\>\n")
        assert "![x]" not in text

    @pytest.mark.parametrize("form", FORMATS)
    def test_an_unknown_session_is_an_error_in_every_format(self, store: SessionStore, form: str) -> None:
        with pytest.raises(SessionNotFoundError):
            store.export("nope", form)

    def test_an_unknown_format_is_an_error_that_names_the_formats(
        self, store: SessionStore, session_id: str
    ) -> None:
        with pytest.raises(StorageError, match="name one of json, markdown, coco, yolo, voc"):
            store.export(session_id, "csv")


def put(content: Any, field: str, value: object) -> None:
    """Set a field named by its path, such as `turns.0.number`."""
    *way, last = field.split(".")
    for part in way:
        content = content[int(part) if part.isdigit() else part]
    content[last] = value
