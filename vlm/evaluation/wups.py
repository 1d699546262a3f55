"""WUPS, the measure of DAQUAR: answers compared by how near their nouns stand in WordNet.

As in the script that goes with the data set (Malinowski and Fritz, arXiv 1410.0210, section 5): two words
score their Wu-Palmer similarity, a tenth of it below a threshold; an answer of several things scores what its
worst matched set does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import prod
from typing import Any

from ..errors import AssistantError
from .answers import things

Similarity = Callable[[str, str], float]
"""How alike two words are, 0..1; 0 where one of them is unknown."""


def wups(predicted: str, wanted: str, threshold: float, similarity: Similarity) -> float:
    """Return the WUPS of an answer, 0..1, at a threshold: 0.9 is the strict one, 0 the lenient one."""
    said, true = set(things(predicted)), set(things(wanted))

    def alike(first: str, second: str) -> float:
        if first == second:
            return 1.0
        score = similarity(first, second)
        return score if score >= threshold else 0.1 * score

    return min(_membership(said, true, alike), _membership(true, said, alike))


def _membership(these: Iterable[str], those: Sequence[str] | set[str], alike: Similarity) -> float:
    return prod(max(alike(this, that) for that in those) for this in these)


def wordnet_similarity() -> Similarity:
    """Return the Wu-Palmer similarity of nouns, the most over their senses, by NLTK's WordNet.

    Raises:
        AssistantError: NLTK or its WordNet is not installed.
    """
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ImportError, LookupError, OSError) as error:
        raise AssistantError(
            "WUPS needs WordNet: pip install nltk, then python -m nltk.downloader wordnet"
        ) from error

    @cache
    def senses(word: str) -> list[Any]:
        found: list[Any] = wordnet.synsets(word.replace(" ", "_"), pos=wordnet.NOUN)
        return found

    @cache
    def similarity(first: str, second: str) -> float:
        return max(
            (one.wup_similarity(other) or 0.0 for one in senses(first) for other in senses(second)),
            default=0.0,
        )

    return similarity


__all__ = ["Similarity", "wordnet_similarity", "wups"]
