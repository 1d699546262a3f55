"""Searching turns by words, with and without an index."""

from __future__ import annotations

import pytest

from assistant.storage import NewTurn, SessionStore


@pytest.fixture
def pets(store: SessionStore) -> SessionStore:
    """A store with a few turns about pets."""
    session_id = store.create_session("Pets").id
    for user, answer in [
        ("Where is the dog?", "Under the table, asleep."),
        ("And the cat?", "The cat sits on 100% of the sofa."),
        ("What does snake_case mean?", "It's a way to write names: a_b \\ c."),
        ("狗在哪里", "在桌子下面。"),
        ("Ou est le CAFE?", "Le café est là, <b>voilà</b>."),
    ]:
        store.append_turn(session_id, NewTurn(user, answer))
    return store


def numbers(store: SessionStore, words: str) -> list[int]:
    return [hit.number for hit in store.search(words)]


class TestFinding:
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            pytest.param("dog", [1], id="a word of the question"),
            pytest.param("sofa", [2], id="a word of the answer"),
            pytest.param("dog table", [1], id="one word of each"),
            pytest.param("the", [2, 1], id="newest first"),
            pytest.param("DOG Tab", [1], id="case and beginnings"),
            pytest.param("dog sofa", [], id="every word counts"),
            pytest.param("在哪", [4], id="a script without spaces"),
            pytest.param("100%", [2], id="a wildcard of LIKE"),
            pytest.param("snake_case", [3], id="an underscore"),
            pytest.param("voilà", [5], id="an accent"),
            pytest.param("%", [2], id="only a sign"),
            pytest.param("\\", [3], id="only a backslash"),
            pytest.param("", [], id="nothing"),
            pytest.param("  \t\n ", [], id="only space"),
        ],
    )
    def test_words_find_turns(self, pets: SessionStore, words: str, found: list[int]) -> None:
        assert numbers(pets, words) == found

    def test_no_text_is_a_syntax_error(self, pets: SessionStore) -> None:
        signs = ['"', "'", "(", "*", "--", ":x", '""', "a\0b", "\udcff", "😀", "\\"]
        columns = ["dog*", "user:dog", "-dog", "^dog", "{a b}:c", "NEAR(dog"]
        words = ["dog AND", "NOT", "AND OR NOT", "'; DROP TABLE turns; --", "dog" * 2000]
        for text in signs + columns + words:
            pets.search(text)
        assert numbers(pets, "dog") == [1]

    def test_an_operator_is_an_ordinary_word(self, store: SessionStore) -> None:
        session_id = store.create_session().id
        store.append_turn(session_id, NewTurn("black AND white NOT grey", ""))
        assert numbers(store, "AND white NOT") == [1]
        assert numbers(store, "black OR white") == []

    def test_a_hit_tells_where_it_is_and_shows_the_words(self, pets: SessionStore) -> None:
        session_id = pets.create_session("Long").id
        words = "before " * 60 + "needle" + " after" * 60
        stored = pets.append_turn(session_id, NewTurn("q", words))
        (hit,) = pets.search("needle")
        assert (hit.session_id, hit.session_title, hit.number) == (session_id, "Long", 1)
        assert hit.created == stored.created
        assert "needle" in hit.snippet
        assert len(hit.snippet) < 150
        assert hit.snippet.startswith("…")
        assert hit.snippet.endswith("…")

    def test_the_limit_keeps_the_newest(self, pets: SessionStore) -> None:
        assert [hit.number for hit in pets.search("the", limit=1)] == [2]


class TestIndex:
    def test_accents_do_not_matter(self, sqlite_store: SessionStore) -> None:
        session_id = sqlite_store.create_session().id
        sqlite_store.append_turn(session_id, NewTurn("Ou est le cafe?", "Là: Café."))
        assert numbers(sqlite_store, "cafés") == []
        assert numbers(sqlite_store, "CAFÉ la") == [1]

    def test_deleted_turns_are_not_found(self, store: SessionStore) -> None:
        first, second = store.create_session().id, store.create_session().id
        for session_id in (first, second):
            store.append_turn(session_id, NewTurn("dog", ""))
        store.delete_session(first)
        assert [hit.session_id for hit in store.search("dog")] == [second]
