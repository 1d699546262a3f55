"""Measure how often the colour of a single object agrees with the colour that captions name.

    python benchmarks/colours.py --data FOLDER --out benchmarks/results/colours.json

Captions name the colour of an animal or object before its noun ("a brown dog"), and that of a person with the
clothes ("in a red shirt"); photos whose captions name no colour do not count.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

from figures import arguments, publish

from assistant.vlm.data.colours import CLOTHES, THINGS, dominant_colour, with_colours
from assistant.vlm.data.expressions import CONFIDENT, distinct
from assistant.vlm.data.instructions import SURE_COLOUR
from assistant.vlm.data.nouns import noun_phrases
from assistant.vlm.data.photos import Photo, PhotoFolder

SAME = {"grey": "gray", "tan": "brown", "golden": "brown"}
NAMES = {name: name for name in (*CLOTHES, *THINGS, "gray")} | SAME
CLOTHING = "shirt|jacket|coat|top|t-shirt|sweater|dress|jersey|uniform|vest|suit|sweatshirt|hoodie|outfit"
WORN = re.compile(rf"\b(?:in|wearing) (?:an? )?(?:\w+ )?({'|'.join(NAMES)}) (?:{CLOTHING})\b", re.IGNORECASE)
ANIMALS = ("dog", "horse", "bird", "cat")


def named_colours(photo: Photo, label: str) -> set[str]:
    """Return the colours that the captions name for a class."""
    words: list[str] = []
    for caption in photo.captions:
        if label == "person":
            words += WORN.findall(caption)
        else:
            phrases = (phrase.text for phrase in noun_phrases(caption) if phrase.label == label)
            words += (word for phrase in phrases for word in re.findall("[a-z]+", phrase.lower()))
    return {NAMES[word.lower()] for word in words if word.lower() in NAMES}


def agreement(photos: list[Photo]) -> dict[str, dict[str, float]]:
    """Return by kind how many measured colours have a caption's colour, and the share that agrees."""
    counts: Counter[tuple[str, bool]] = Counter()
    for photo in photos:
        for label in photo.labels:
            things, named = distinct(photo, label), named_colours(photo, label)
            if len(things) != 1 or things[0].score < CONFIDENT or not named:
                continue
            colour = dominant_colour(things[0], SURE_COLOUR)
            if colour is not None:
                kind = "clothes" if label == "person" else "animals" if label in ANIMALS else "things"
                counts[kind, colour in named] += 1
    kinds = {kind: counts[kind, True] + counts[kind, False] for kind, _ in sorted(counts)}
    return {kind: {"n": n, "agree": round(counts[kind, True] / n, 3)} for kind, n in kinds.items()}


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        figures = agreement(with_colours(PhotoFolder(options.data, "train"), Path(cache)))
    publish(figures, options.out)


if __name__ == "__main__":
    main()
