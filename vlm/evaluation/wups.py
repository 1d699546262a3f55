"""WUPS, the measure of DAQUAR: compares answers by the similarity of their nouns in WordNet.

As in the official script (Malinowski and Fritz, arXiv 1410.0210, section 5): two words score their Wu-Palmer
similarity, a tenth of it below a threshold; answers with several things score the lower of both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import prod
from typing import Protocol

from ..errors import AssistantError
from .answers import things

Similarity = Callable[[str, str], float]
"""The similarity of two words, 0..1; 0 if one of them is unknown."""


class _Synset(Protocol):
    """A sense of a word in NLTK's WordNet."""

    def wup_similarity(self, other: _Synset) -> float | None:
        """Return the Wu-Palmer similarity, None without a common ancestor."""


def wups(predicted: str, wanted: str, threshold: float, similarity: Similarity) -> float:
    """Return the WUPS of an answer, 0..1, at a threshold: 0.9 is strict, 0 lenient."""
    answered, true = set(things(predicted)), set(things(wanted))

    def alike(first: str, second: str) -> float:
        if first == second:
            return 1.0
        score = similarity(first, second)
        return score if score >= threshold else 0.1 * score

    return min(_membership(answered, true, alike), _membership(true, answered, alike))


def _membership(these: Iterable[str], those: Sequence[str] | set[str], alike: Similarity) -> float:
    return prod(max(alike(this, that) for that in those) for this in these)


def wordnet_similarity() -> Similarity:
    """Return the Wu-Palmer similarity of nouns in NLTK's WordNet, the maximum over their senses.

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
    def senses(word: str) -> list[_Synset]:
        found: list[_Synset] = wordnet.synsets(word.replace(" ", "_"), pos=wordnet.NOUN)
        return found

    @cache
    def similarity(first: str, second: str) -> float:
        return max(
            (one.wup_similarity(other) or 0.0 for one in senses(first) for other in senses(second)),
            default=0.0,
        )

    return similarity
