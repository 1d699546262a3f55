"""Map nouns to detector classes, and find noun phrases in captions."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Singular nouns by detector class, besides the name of the class.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "person": (
        "man", "woman", "boy", "girl", "child", "kid", "toddler", "baby", "lady", "guy", "person", "player",
        "biker", "cyclist", "bicyclist", "skateboarder", "snowboarder", "surfer", "skier", "climber", "rider",
        "swimmer", "runner", "hiker", "worker", "teenager", "motorcyclist", "wakeboarder", "dancer", "clown",
        "gymnast", "singer", "musician", "youth", "individual",
    ),
    "dog": ("puppy", "greyhound", "poodle", "retriever", "terrier", "collie", "dalmatian", "pup"),
    "cat": ("kitten",),
    "bicycle": ("bike",),
    "motorcycle": ("motorbike",),
    "couch": ("sofa",),
    "tv": ("television", "monitor"),
    "sports ball": ("ball", "football", "soccer ball", "basketball", "tennis ball", "volleyball", "baseball"),
    "potted plant": ("plant",),
    "cell phone": ("phone", "cellphone"),
    "car": ("vehicle",),
    "boat": ("canoe", "kayak"),
    "bird": ("duck", "seagull"),
    "frisbee": ("disc",),
}  # fmt: skip

# The detector's classes, MS COCO's 80.
CLASSES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "skis": "skis",
    "scissors": "scissors", "sheep": "sheep", "knife": "knives", "mouse": "mice",
}  # fmt: skip


def plural(noun: str) -> str:
    """Return the plural of a noun or noun phrase, by its last word."""
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"(s|x|ch|sh)$", last):
        last += "es"
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def with_article(noun: str) -> str:
    """Return a noun with `a` or `an`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


CLASS_OF: dict[str, str] = {name: name for name in CLASSES} | {
    word: name for name, words in _SYNONYMS.items() for word in words
}
_PLURALS: dict[str, str] = {plural(word): name for word, name in CLASS_OF.items()}

_NOUN = "|".join(sorted(map(re.escape, CLASS_OF), key=len, reverse=True))
_NOUN_PHRASE = re.compile(
    rf"\b(?P<determiner>a|an|the|one|his|her|their)\s+(?P<modifiers>(?:[a-z-]+\s+){{0,3}}?)(?P<noun>{_NOUN})\b"
    r"(?!\s+(?:[a-z]+er|rope|bed|park|field|race|track|ramp|court|house|door|tree)\b)",
    re.IGNORECASE,
)
# Words that cannot be part of the modifiers.
_BREAKS = re.compile(
    r"\b(?:a|an|the|and|or|of|in|on|at|with|by|to|from|for|near|is|are|was|while|who|that|which|as|his|her|"
    r"their|its|two|three|over|under|behind|through|into|onto|holding|wearing|riding|playing)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NounPhrase:
    """A noun phrase of a caption: its text, its start, its noun and its detector class."""

    text: str
    start: int
    noun: str
    label: str


def noun_phrases(caption: str) -> list[NounPhrase]:
    """Return the singular noun phrases of a caption that name a detector class."""
    return [
        NounPhrase(match[0], match.start(), match["noun"].lower(), CLASS_OF[match["noun"].lower()])
        for match in _NOUN_PHRASE.finditer(caption)
        if not _BREAKS.search(match["modifiers"])
    ]


def mentions(caption: str, label: str) -> bool:
    """Return whether the caption names the class, in the singular or plural."""
    words = (word for table in (CLASS_OF, _PLURALS) for word, name in table.items() if name == label)
    return any(re.search(rf"\b{re.escape(word)}\b", caption, re.IGNORECASE) for word in words)


def class_of(expression: str) -> str | None:
    """Return the detector class of an expression's last noun before any preposition, None if unknown."""
    head = re.split(r"\b(?:on|in|at|with|of|to|near|by)\b", expression.lower())[0]
    words = re.findall(r"[a-z]+", head)
    for size in (2, 1):
        tail = " ".join(words[-size:])
        if tail in CLASS_OF or tail in _PLURALS:
            return CLASS_OF.get(tail) or _PLURALS[tail]
    return None
