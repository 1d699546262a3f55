"""CHAIR (arXiv 1809.02156) on COCO, as in the paper: the share of named objects that are hallucinated.

An object is in an image if COCO's annotators outlined it or named it in a caption. The synonyms are ours, not
CHAIR's.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..answers import Generation, Request
from ..data.sources.base import Published, json_rows, parse_row
from ..data.sources.coco import Caption, image_2014
from ..tasks import Task
from .hallucination import named_classes
from .items import Item, Scored, malformed
from .metrics import mean, proportion, ratio

INSTANCES = "coco/annotations/instances_val2014.json"
_CAPTIONS = "coco/annotations/captions_val2014.json"
# The paper follows arXiv 2305.10355, which draws as many images.
_PICTURES = 2000
_LONG = "generate a brief description of the given image"

PROMPTS: dict[str, Request] = {
    "long": Request(None, _LONG, typed=_LONG),
    "grounded": Request(Task.GROUNDING, typed="describe this image in as detailed as possible"),
    "short": Request(Task.CAPTION, typed="briefly describe the image"),
}
"""The prompts that the paper compares; a model of another prompt form gets its own prompts."""


class Category(Published):
    """One item of `categories`."""

    id: int
    name: str


class Instance(Published):
    """One item of `annotations`."""

    image_id: int
    category_id: int


def chair_items(data: Path, prompt: str) -> Iterator[Item]:
    """Yield a request for a description for each of 2,000 images, always the same.

    Raises:
        DataError: a file is missing, or a row is invalid (it is named).
    """
    present: dict[int, set[str]] = defaultdict(set)
    captions: dict[int, list[str]] = defaultdict(list)
    names: dict[int, str] = {}

    def name(content: object) -> Iterator[None]:
        category = Category.model_validate(content)
        names[category.id] = category.name
        yield

    def draw(content: object) -> Iterator[None]:
        instance = Instance.model_validate(content)
        if instance.category_id not in names:
            raise ValueError(f"category_id: there is no category {instance.category_id}")
        present[instance.image_id].add(names[instance.category_id])
        yield

    def describe(content: object) -> Iterator[None]:
        caption = Caption.model_validate(content)
        captions[caption.image_id].append(caption.caption)
        yield

    for file, part, read in (
        (INSTANCES, "categories", name),
        (INSTANCES, "annotations", draw),
        (_CAPTIONS, "annotations", describe),
    ):
        for row in json_rows(data / file, part):
            list(parse_row(row, read))
    known = sorted(present.keys() & captions.keys())
    for number in sorted(random.Random(0).sample(known, min(len(known), _PICTURES))):
        objects = present[number].union(*map(named_classes, captions[number]))
        image = image_2014(Path("coco"), "val", number).path
        yield Item(image, PROMPTS[prompt], tuple(captions[number]), about=objects)


def chair_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the share of the objects named, and of the descriptions, that are hallucinated."""
    named = [named_classes(answer.grounded.text) for answer in answers]
    false = [len(classes - item.about) for item, classes in zip(items, named, strict=True)]
    measures = {
        "chair_objects": ratio(false, list(map(len, named))),
        "chair_sentences": proportion([count > 0 for count in false]),
        "words": mean([len(answer.grounded.text.split()) for answer in answers]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [1 - count / max(len(it), 1) for count, it in zip(false, named, strict=True)])
