"""Sessions of several owners in one store, and read-only links to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assistant.storage import NewTurn, SessionNotFoundError, SessionStore, Usage
from assistant.vlm.errors import ImageError


class TestOwners:
    def test_owners_reach_only_their_own_sessions_and_the_command_line_all(self, store: SessionStore) -> None:
        ann, ben, local = store.for_owner("ann"), store.for_owner("ben"), store.for_owner(None)
        names = {"ann": ann, "ben": ben, None: local}
        made = {name: mine.create_session(f"of {name}") for name, mine in names.items()}
        store.append_turn(made["ann"].id, NewTurn("a dog", "there"))
        for name, mine in names.items():
            assert [session.title for session in mine.list_sessions()] == [f"of {name}"]
        assert {session.owner for session in store.list_sessions()} == {"ann", "ben", None}
        assert [len(mine.search("dog")) for mine in (ann, ben, local, store)] == [1, 0, 0, 1]
        assert ben.first_turns([made["ann"].id]) == {}

    def test_nothing_can_be_done_to_somebody_elses_session(self, store: SessionStore) -> None:
        session = store.for_owner("ann").create_session("hers").id
        store.append_turn(session, NewTurn("q", "a"))
        ben = store.for_owner("ben")
        attempts: list[Callable[[], object]] = [
            lambda: ben.get_session(session),
            lambda: ben.find_session(session[:6]),
            lambda: ben.turns(session),
            lambda: ben.rename_session(session, "mine"),
            lambda: ben.pin_session(session, True),
            lambda: ben.delete_session(session),
            lambda: ben.append_turn(session, NewTurn("q", "a")),
            lambda: ben.replace_turn(session, 1, NewTurn("q", "b")),
            lambda: ben.set_feedback(session, 1, -1),
            lambda: ben.set_corrections(session, 1, []),
            lambda: ben.set_link(session, True),
            lambda: ben.link(session),
            lambda: ben.export_json(session),
            lambda: ben.export(session, "coco"),
            lambda: ben.export(session, "yolo"),
        ]
        for attempt in attempts:
            with pytest.raises(SessionNotFoundError):
                attempt()
        [turn] = store.turns(session)
        assert (turn.answer, turn.feedback, turn.corrections) == ("a", None, None)
        assert store.get_session(session).title == "hers"
        assert store.link(session) is None

    def test_a_picture_is_its_owners_and_of_those_who_added_it_too(
        self, store: SessionStore, make_picture: Callable[..., bytes]
    ) -> None:
        ann, ben = store.for_owner("ann"), store.for_owner("ben")
        image = ann.add_image(make_picture())
        assert ann.usage() == Usage(1, image.size)
        assert ben.usage() == Usage(0, 0)
        with pytest.raises(ImageError, match="not in the store"):
            ben.image_path(image.sha256)
        ann.append_turn(ann.create_session().id, NewTurn("q", "a", image))
        assert store.for_owner("ann").image_path(image.sha256).is_file()
        assert ben.add_image(make_picture()) == image
        assert ben.image_path(image.sha256).is_file()
        assert ben.usage() == ann.usage() == Usage(1, image.size)

    def test_an_imported_session_is_the_importers(self, store: SessionStore) -> None:
        exported = store.export_json(store.for_owner("ann").create_session("hers").id)
        assert store.for_owner("ben").import_json(exported).owner == "ben"


class TestLinks:
    def test_a_link_leads_to_the_session_until_it_is_taken_away(self, store: SessionStore) -> None:
        ann = store.for_owner("ann")
        session = ann.create_session("hers")
        link = ann.set_link(session.id, True)
        assert link == ann.set_link(session.id, True) == ann.link(session.id)
        assert len(link) >= 32
        assert store.linked_session(link) == session
        assert ann.set_link(session.id, False) is None
        with pytest.raises(SessionNotFoundError, match="no longer valid"):
            store.linked_session(link)

    def test_two_sessions_without_a_link_are_none_behind_an_empty_one(self, store: SessionStore) -> None:
        store.create_session()
        store.create_session()
        with pytest.raises(SessionNotFoundError):
            store.linked_session("")


def test_the_secret_is_created_once_and_private(store: SessionStore) -> None:
    secret = store.secret()
    assert len(secret) >= 40
    assert store.for_owner("ann").secret() == secret
    [file] = store._folder.path.glob(".secret")
    assert file.stat().st_mode & 0o077 == 0
    assert store.verify() == []
    assert store.sweep() == 0
    assert store.secret() == secret
