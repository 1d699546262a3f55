"""Identifiers that a person typed: obeyed at either end of a message, read as text anywhere else."""

from __future__ import annotations

import re

from ..vlm.tasks import Task, split_identifier
from . import words

_NAMES = "|".join(Task)
_LEADING = re.compile(rf"\s{{0,9}}\[\s{{0,9}}({_NAMES})\s{{0,9}}\]\s{{0,9}}[:,-]?\s*", re.IGNORECASE)
_TRAILING = re.compile(rf"\[\s{{0,9}}({_NAMES})\s{{0,9}}\][\s.!?]{{0,9}}$", re.IGNORECASE)
# Behind one of these a bracketed word is spoken of, not used: "the sign says [refer]".
_SPOKEN_OF = words.DETERMINERS | words.PREPOSITIONS | words.AUXILIARIES | words.CONJUNCTIONS | words.word_set(
    "say says said saying read reads reading labelled labeled label called word words text mean means "
    "type typed named name printed written identifier token button command prefix typing write spell "
    "spells"
)  # fmt: skip


def typed_identifier(text: str) -> tuple[Task | None, str]:
    """Split a typed identifier from the words around it: `[ Refer ]the dog` and `the dog [refer]` alike."""
    match = _LEADING.match(text)
    if match:
        return split_identifier(f"[{match[1]}] {text[match.end() :]}")
    match = _TRAILING.search(text)
    if match:
        before = text[: match.start()].rstrip()
        last = re.search(r"(\w+)\W{0,2}$", before[-40:])
        if last and last[1].lower() not in _SPOKEN_OF:
            return Task(match[1].lower()), before
    return None, text
