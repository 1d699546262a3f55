"""A message taken apart into its requests and the remarks around them."""

from __future__ import annotations

import re

from .carriers import starts_request

_SENTENCE = re.compile(r"(?<=[.!?])(?<!\b[A-Z\d]\.)\s+|\s*[;\n]\s*")
_JOINT = re.compile(
    r"\s*,?\s+(?:and then|and also|and after that|and finally|and|then|after that|plus|but also|but|finally|"
    r"followed by|also|afterwards)\s+|\s*,\s*(?:please\s+)?|\s+-+\s+|:\s+(?=\d[.)])|\s+(?=\d[.)]\s)",
    re.IGNORECASE,
)
# Behind a bare comma these may open a relative clause: "the man, who is tall".
_RELATIVE = re.compile(
    r"(?:who|which|whose|where|when)\s+(?!(?:is|are|'s) (?:the|it|he|she|they)\b"
    r"|(?:it|he|she|they) (?:is|are)\b)\S",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"^if\s+", re.IGNORECASE)
_HEAD_LENGTH = 160


def split(text: str) -> list[str]:
    """Split a message at sentence ends, and at joints behind which another request begins."""
    pieces: list[str] = []
    for sentence in _SENTENCE.split(text):
        pieces += _split_sentence(sentence)
    return [piece for piece in pieces if any(letter.isalnum() for letter in piece)]


def _split_sentence(sentence: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    for joint in _JOINT.finditer(sentence):
        rest = sentence[joint.end() : joint.end() + _HEAD_LENGTH]
        if joint[0].strip() == "," and _RELATIVE.match(rest):
            continue
        if starts_request(rest):
            # "If there is a dog, find it": what stands before the comma is no question.
            pieces.append(_CONDITION.sub("", sentence[start : joint.start()]))
            start = joint.end()
    return [*pieces, sentence[start:]]
