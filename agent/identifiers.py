"""Identifiers that a person typed: obeyed at either end of a message, read as text anywhere else."""

from __future__ import annotations

import re

from ..vlm.tasks import Task, split_identifier

_NAMES = "|".join(Task)
_LEADING = re.compile(rf"\s{{0,9}}\[\s{{0,9}}({_NAMES})\s{{0,9}}\]\s{{0,9}}[:,-]?\s*", re.IGNORECASE)
# Behind a word that speaks of it ("the sign says [refer]"), it is not used.
_TRAILING = re.compile(
    r"(?<!\bsays)(?<!\bsay)(?<!\bsaying)(?<!\bmeans)(?<!\bmean)(?<!\bdoes)(?<!\bis)(?<!\bof)(?<!\bthe)(?<!\ba)"
    rf"(?<!\bread)(?<!\breads)(?<!\btype)(?<!\bword)\s\[\s{{0,9}}({_NAMES})\s{{0,9}}\][\s.!?]{{0,9}}$",
    re.IGNORECASE,
)


def typed_identifier(text: str) -> tuple[Task | None, str]:
    """Split a typed identifier from the words around it: `[ Refer ]the dog` and `the dog [refer]` alike."""
    match = _LEADING.match(text)
    if match:
        return split_identifier(f"[{match[1]}] {text[match.end() :]}")
    match = _TRAILING.search(text)
    if match:
        return Task(match[1].lower()), text[: match.start()].strip()
    return None, text
