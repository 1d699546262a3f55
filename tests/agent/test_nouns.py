"""The head noun of a phrase, and its number."""

from __future__ import annotations

import pytest

from assistant.agent.nouns import bare, core, is_plural, noun_of, plural, singular


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [
        ("the red car by the tree", "car"),
        ("two dogs", "dogs"),
        ("a man wearing a hat", "man"),
        ("a dog sleeping", "dog"),
        ("the red building", "building"),
        ("the swimming pool", "pool"),
        ("the", ""),
        ("", ""),
    ],
)
def test_a_phrase_has_a_head_noun(phrase: str, noun: str) -> None:
    assert noun_of(phrase) == noun


def test_a_participle_ends_the_noun_phrase() -> None:
    assert core("the big white dog on the sofa") == ["big", "white", "dog"]


@pytest.mark.parametrize("noun", ["dogs", "people", "Glasses", "police", "knives", "children"])
def test_nouns_that_are_plural(noun: str) -> None:
    assert is_plural(noun)


@pytest.mark.parametrize("noun", ["dog", "glass", "bus", "tennis", "gas", "boss's", "is", "as", "", "sheep"])
def test_nouns_that_are_not(noun: str) -> None:
    assert not is_plural(noun)


@pytest.mark.parametrize(("one", "many"), [("dog", "dogs"), ("bus", "buses"), ("woman", "women"), ("", "")])
def test_a_noun_has_a_singular_and_a_plural(one: str, many: str) -> None:
    assert (singular(many), plural(one), plural(many)) == (one, many, many)


@pytest.mark.parametrize(
    ("phrase", "rest"),
    [
        ("the dog", "dog"),
        ("All of the two dogs", "dogs"),
        ("dogs of the year", "dogs of the year"),
        ("then", "then"),
    ],
)
def test_bare_drops_leading_determiners(phrase: str, rest: str) -> None:
    assert bare(phrase) == rest
