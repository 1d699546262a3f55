"""Task identifiers that a person typed: commands at either end of a message, plain text elsewhere."""

from __future__ import annotations

import re

from ..vlm.errors import AssistantError
from ..vlm.grounding import Box
from ..vlm.tasks import NEEDS_ARGUMENT, Task, split_identifier

_NAMES = "|".join(Task)
_LEADING = re.compile(rf"\s{{0,9}}\[\s{{0,9}}({_NAMES})\s{{0,9}}\]\s{{0,9}}[:,-]?\s*", re.IGNORECASE)
# An identifier that the sentence quotes ("the sign says [refer]") is plain text.
_TRAILING = re.compile(
    r"(?<!\bsays)(?<!\bsay)(?<!\bsaying)(?<!\bmeans)(?<!\bmean)(?<!\bdoes)(?<!\bis)(?<!\bof)(?<!\bthe)(?<!\ba)"
    rf"(?<!\bread)(?<!\breads)(?<!\btype)(?<!\bword)\s\[\s{{0,9}}({_NAMES})\s{{0,9}}\][\s.!?]{{0,9}}$",
    re.IGNORECASE,
)


def typed_identifier(text: str) -> tuple[Task | None, str]:
    """Split a typed identifier from the text, at either end of it.

    >>> typed_identifier("[ Refer ]the dog") == typed_identifier("the dog [refer]") == (Task.REFER, "the dog")
    True
    """
    match = _LEADING.match(text)
    if match:
        return split_identifier(f"[{match[1]}] {text[match.end() :]}")
    match = _TRAILING.search(text)
    if match:
        return Task(match[1].lower()), text[: match.start()].strip()
    return None, text


def check_asked(message: str, task: Task | None = None, region: Box | None = None) -> None:
    """Refuse an empty message, unless the chosen task or region says what to do.

    Raises:
        AssistantError: the message is empty, or its task needs words and has none.
    """
    typed, words = typed_identifier(message)
    if any(character.isprintable() and not character.isspace() for character in words):
        return
    chosen = task or typed
    if chosen in NEEDS_ARGUMENT:
        raise AssistantError(f"[{chosen}] needs words: write a question or a phrase after it")
    if chosen is None and region is None:
        raise AssistantError("the question is empty: write what you want to know")
