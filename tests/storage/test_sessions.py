"""Sessions and turns, on every available database."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy.exc import IntegrityError

from assistant.storage import (
    AmbiguousSessionError,
    CheckedBox,
    DatabaseMissingError,
    NewTurn,
    SessionNotFoundError,
    SessionStore,
    StorageError,
    StoredImage,
    StoredStep,
    Verification,
)
from assistant.vlm.errors import AssistantError, ImageError
from assistant.vlm.grounding import Box, GroundedPhrase

MakePicture = Callable[..., bytes]
MakeTurn = Callable[..., NewTurn]


class TestSessions:
    def test_a_new_session_is_empty_and_dated_now(self, store: SessionStore) -> None:
        session = store.create_session("Holidays")
        assert (session.title, session.turns) == ("Holidays", 0)
        assert session.created == session.updated
        assert timedelta(0) <= datetime.now(UTC) - session.created < timedelta(minutes=1)
        assert store.get_session(session.id) == session

    def test_the_session_with_the_newest_turn_is_listed_first(
        self, store: SessionStore, make_turn: MakeTurn
    ) -> None:
        first, second, third = (store.create_session(name).id for name in ("a", "b", "c"))
        store.append_turn(first, make_turn())
        assert [session.id for session in store.list_sessions()] == [first, third, second]
        assert [session.turns for session in store.list_sessions()] == [1, 0, 0]
        assert [session.id for session in store.list_sessions(limit=2)] == [first, third]

    def test_a_renamed_session_keeps_its_place(self, store: SessionStore) -> None:
        older, newer = store.create_session("a"), store.create_session("b")
        assert store.rename_session(older.id, "z").title == "z"
        assert [session.title for session in store.list_sessions()] == ["b", "z"]
        assert store.get_session(newer.id) == newer

    def test_a_deleted_session_is_gone_with_its_turns_and_only_it(
        self, store: SessionStore, make_turn: MakeTurn
    ) -> None:
        gone, kept = store.create_session().id, store.create_session().id
        for session_id in (gone, kept):
            store.append_turn(session_id, make_turn())
        store.delete_session(gone)
        assert [session.id for session in store.list_sessions()] == [kept]
        assert len(store.turns(kept)[0].steps) == 2
        assert [hit.session_id for hit in store.search("man")] == [kept]
        assert store.verify() == []

    def test_an_unknown_session_is_one_clear_line_everywhere(
        self, store: SessionStore, make_turn: MakeTurn
    ) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.get_session("nope"),
            lambda: store.rename_session("nope", "x"),
            lambda: store.delete_session("nope"),
            lambda: store.append_turn("nope", make_turn()),
            lambda: store.replace_turn("nope", 1, make_turn()),
            lambda: store.turns("nope"),
            lambda: store.export_json("nope"),
            lambda: store.set_feedback("nope", 1, 1),
        ]
        for call in calls:
            with pytest.raises(SessionNotFoundError, match="nope") as caught:
                call()
            assert "\n" not in str(caught.value)
            assert isinstance(caught.value, AssistantError)


class TestTurns:
    def test_a_stored_turn_equals_the_new_one(
        self, store: SessionStore, make_turn: MakeTurn, make_picture: MakePicture
    ) -> None:
        image = store.add_image(make_picture())
        session_id = store.create_session().id
        given = make_turn(image=image)
        stored = store.append_turn(session_id, given)
        assert stored == store.turns(session_id)[0]
        for field in dataclasses.fields(NewTurn):
            assert getattr(stored, field.name) == getattr(given, field.name), field.name
        scores = [box.score for step in stored.steps for phrase in step.phrases for box in phrase.boxes]
        assert scores == [0.83, None, 0.0, 1.0]
        assert stored.steps[0].phrases[0].start == 4
        assert (stored.session_id, stored.number, stored.feedback) == (session_id, 1, None)
        assert store.get_session(session_id).updated == stored.created

    def test_phrases_that_look_alike_stay_apart(self, store: SessionStore) -> None:
        phrases = tuple(GroundedPhrase("a dog", (Box(n, n, n, n),)) for n in range(3))
        session_id = store.create_session().id
        store.append_turn(session_id, NewTurn("q", "a", steps=(StoredStep("detection", phrases=phrases),)))
        assert store.turns(session_id)[0].steps[0].phrases == phrases

    def test_the_last_turns_come_in_order(self, store: SessionStore) -> None:
        session_id = store.create_session().id
        for number in range(1, 6):
            store.append_turn(session_id, NewTurn(f"question {number}", ""))
        assert [turn.number for turn in store.turns(session_id)] == [1, 2, 3, 4, 5]
        assert [turn.user for turn in store.turns(session_id, last=2)] == ["question 4", "question 5"]
        assert len(store.turns(session_id, last=99)) == 5
        assert store.turns(session_id, last=0) == []

    def test_text_that_a_database_cannot_hold_is_replaced_not_refused(self, store: SessionStore) -> None:
        session_id = store.create_session("a\0b").id
        turn = store.append_turn(session_id, NewTurn("\udcff and \0", "狗 🐕 é"))
        assert (turn.user, turn.answer) == ("\ufffd and \ufffd", "狗 🐕 é")
        assert store.get_session(session_id).title == "a\ufffdb"

    def test_feedback_can_be_given_changed_and_taken_back(self, store: SessionStore) -> None:
        session_id = store.create_session().id
        store.append_turn(session_id, NewTurn("q", "a"))
        for feedback in (1, -1, 0, None):
            store.set_feedback(session_id, 1, feedback)
            assert store.turns(session_id)[0].feedback == feedback
        with pytest.raises(ValueError, match="not 2"):
            store.set_feedback(session_id, 1, 2)  # type: ignore[arg-type]
        with pytest.raises(SessionNotFoundError, match="turn 2"):
            store.set_feedback(session_id, 2, 1)

    def test_the_last_turn_can_be_replaced_and_its_feedback_goes(
        self, store: SessionStore, make_turn: MakeTurn, make_picture: MakePicture
    ) -> None:
        session_id = store.create_session().id
        red, blue = store.add_image(make_picture("red")), store.add_image(make_picture("blue"))
        first = store.append_turn(session_id, NewTurn("first", "kept"))
        store.append_turn(session_id, make_turn(answer="wrongly", image=red))
        store.set_feedback(session_id, 2, -1)
        given = make_turn(answer="rightly", image=blue)
        new = store.replace_turn(session_id, 2, given)
        assert (new.number, new.answer, new.steps, new.feedback) == (2, "rightly", given.steps, None)
        assert store.turns(session_id) == [first, new]
        assert store.get_session(session_id).updated == new.created
        assert (store.search("wrongly"), len(store.search("rightly"))) == ([], 1)
        assert store.verify() == []  # the picture that nothing uses any more is gone too

    def test_only_the_last_turn_is_replaced(self, store: SessionStore, make_turn: MakeTurn) -> None:
        session_id = store.create_session().id
        kept = [store.append_turn(session_id, make_turn()) for _ in range(2)]
        with pytest.raises(StorageError, match="turn 1 is not the last of 2"):
            store.replace_turn(session_id, 1, make_turn())
        for number in (0, 3):
            with pytest.raises(SessionNotFoundError, match=f"turn {number}"):
                store.replace_turn(session_id, number, make_turn())
        assert store.turns(session_id) == kept

    def test_a_replacement_is_saved_even_if_the_old_image_cannot_be_deleted_yet(
        self, tmp_path: Path, make_turn: MakeTurn, make_picture: MakePicture, caplog: pytest.LogCaptureFixture
    ) -> None:
        with SessionStore.open(tmp_path / "sessions.db", timeout=0.2) as store:
            red, blue = (store.add_image(make_picture(colour=name)) for name in ("red", "blue"))
            session_id = store.create_session().id
            store.append_turn(session_id, make_turn(image=red))
            with FileLock(tmp_path / "sessions.db.images" / ".lock"):  # as another program would
                new = store.replace_turn(session_id, 1, make_turn(answer="again", image=blue))
            assert store.turns(session_id) == [new]
            assert "not deleted yet" in caplog.text
            assert store.sweep() == 1
            assert store.verify() == []

    def test_a_turn_whose_replacement_fails_stays(self, store: SessionStore, make_turn: MakeTurn) -> None:
        session_id = store.create_session().id
        kept = store.append_turn(session_id, make_turn())
        unknown = StoredImage("0" * 64, "PNG", 1, 1, 1)
        with pytest.raises(ImageError, match="not in the store"):
            store.replace_turn(session_id, 1, make_turn(image=unknown))
        assert store.turns(session_id) == [kept]

    def test_a_turn_that_cannot_be_saved_whole_leaves_nothing(self, store: SessionStore) -> None:
        session_id = store.create_session().id
        before = store.get_session(session_id)
        wrong = Box(1, 2, 3, 4)
        object.__setattr__(wrong, "x1", 500)  # the last table to be written refuses it
        step = StoredStep("refer", phrases=(GroundedPhrase("a", (wrong,)),))
        with pytest.raises(IntegrityError):
            store.append_turn(session_id, NewTurn("hidden", "hidden", steps=(step,)))
        assert store.get_session(session_id) == before
        assert store.turns(session_id) == store.search("hidden") == store.verify() == []
        assert store.append_turn(session_id, NewTurn("q", "a")).number == 1

    def test_two_stores_writing_to_one_session_number_its_turns_without_a_gap(
        self, store: SessionStore, tmp_path: Path
    ) -> None:
        session_id = store.create_session().id
        location = store._engine.url.render_as_string(hide_password=False)
        errors: list[BaseException] = []

        def write(own: SessionStore) -> None:
            try:
                for _ in range(20):
                    own.append_turn(session_id, NewTurn("q", "a"))
            except BaseException as error:
                errors.append(error)

        with SessionStore.open(location, image_folder=tmp_path / "pictures") as other:
            threads = [threading.Thread(target=write, args=(own,)) for own in (store, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert errors == []
        assert [turn.number for turn in store.turns(session_id)] == list(range(1, 41))


class TestValues:
    @pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
    def test_a_duration_is_a_finite_number_from_0_on(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="seconds"):
            NewTurn("q", "a", seconds=seconds)
        with pytest.raises(ValueError, match="seconds"):
            StoredStep("vqa", seconds=seconds)

    def test_a_phrase_without_a_box_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'a cat' has no box"):
            StoredStep("refer", phrases=(GroundedPhrase("a cat", ()),))

    def test_a_step_has_the_check_of_each_box(self) -> None:
        box, verification = Box(1, 2, 3, 4, 0.5), Verification(True, "a cat")
        assert CheckedBox.of(box, None) is box
        checked = CheckedBox.of(box, verification)
        assert (checked, checked.score, hash(checked)) == (box, 0.5, hash(box))
        assert checked != Box(1, 2, 3, 5)
        step = StoredStep("detection", phrases=(GroundedPhrase("cats", (checked, box)),))
        assert step.verifications == (verification, None)
        assert StoredStep("detection", phrases=(GroundedPhrase("cats", (box,)),)).verifications == ()


class TestLocations:
    @pytest.mark.parametrize("location", ["sqlite://", "sqlite:///:memory:", "nonsense://x", "://"])
    def test_a_location_in_memory_is_an_error_in_one_line(self, location: str) -> None:
        with pytest.raises(StorageError) as caught:
            SessionStore.open(location)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "location", [":memory:", "file::memory:?cache=shared", "file:x.db", Path(":memory:")]
    )
    def test_a_name_of_sqlites_own_makes_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str | Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StorageError, match="is not a path; give the path of a database file"):
            SessionStore.open(location)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_is_no_database(self, tmp_path: Path) -> None:
        with pytest.raises(
            StorageError, match=r"is a folder; name a database file in it, such as .*sessions"
        ):
            SessionStore.open(tmp_path)

    def test_a_server_needs_a_folder_for_pictures(self) -> None:
        with pytest.raises(StorageError, match="--images"):
            SessionStore.open("postgresql+psycopg://localhost/x")


class TestFinding:
    def test_an_id_or_its_beginning_finds_a_session(self, store: SessionStore) -> None:
        session = store.create_session("a")
        for beginning in (session.id, session.id[:6], session.id[:-1]):
            assert store.find_session(beginning) == session

    @pytest.mark.parametrize("beginning", ["", "nope", "%", "_", "\\"])
    def test_an_unknown_beginning_finds_none(self, store: SessionStore, beginning: str) -> None:
        store.create_session("a")
        with pytest.raises(SessionNotFoundError):
            store.find_session(beginning)

    def test_several_that_begin_alike_are_named(
        self, store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = iter(["3f", "3fa1", "3fa2", "3fa3", "3fb4"])
        monkeypatch.setattr("assistant.storage.rows.secrets.token_hex", lambda _: next(ids))
        for _ in range(5):
            store.create_session()
        assert store.find_session("3f").id == "3f"
        assert store.find_session("3fb").id == "3fb4"
        with pytest.raises(AmbiguousSessionError, match=r"3 sessions begin with '3fa': 3fa1, 3fa2, 3fa3$"):
            store.find_session("3fa")


class TestMaking:
    def test_a_database_is_created_only_on_request(self, tmp_path: Path) -> None:
        missing = tmp_path / "folder" / "store.db"
        with pytest.raises(DatabaseMissingError, match=r"store\.db"):
            SessionStore.open(missing, make=False)
        assert not missing.parent.exists()
        SessionStore.open(missing).close()
        SessionStore.open(missing, make=False).close()

    def test_a_server_without_tables_gets_none(self, empty_postgresql: str, tmp_path: Path) -> None:
        for _ in range(2):
            with pytest.raises(DatabaseMissingError):
                SessionStore.open(empty_postgresql, image_folder=tmp_path, make=False)
