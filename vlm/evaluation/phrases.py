"""Suites for phrases that people boxed (Flickr30k Entities), and for absent things."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from ..answers import Generation, Request
from ..data.absent import AbsentNames
from ..data.nouns import class_of, with_article
from ..data.photos import Photo
from ..data.referents import Referent, grounded_captions, head, referents, unique_names
from ..grounding import Box, GroundedText
from ..tasks import Task
from .answers import normalise
from .items import Item, Scored, first_overlap, malformed, paired
from .metrics import HIT, WHOLE_IMAGE, Measure, match_boxes, mean, proportion, ratio

# Boxes that cover less than this share of the image are small.
SMALL = 0.1

Build = Callable[[Photo], list[Item]]


def refer_items(photo: Photo) -> list[Item]:
    """Return an item for every name that means exactly one box."""
    return [
        Item(photo.image, Request(Task.REFER, it.definite), (it.definite,), (it.referent.box,), it)
        for it in unique_names(photo)
    ]


def refer_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score referring expression comprehension (REC): accuracy at IoU 0.5, in total, by size and kind."""
    overlaps = [first_overlap(item, answer) for item, answer in paired(items, answers)]

    def of(kept: Callable[[Item], bool]) -> Measure:
        kinds = zip(items, overlaps, strict=True)
        return proportion([overlap >= HIT for item, overlap in kinds if kept(item)])

    measures = {
        "accuracy_at_50": of(lambda it: not it.about.joined),
        "accuracy_at_50_small": of(lambda it: not it.about.joined and _is_small(it.boxes[0])),
        "accuracy_at_50_large": of(lambda it: not it.about.joined and not _is_small(it.boxes[0])),
        "accuracy_at_50_people": of(lambda it: not it.about.joined and it.about.referent.type == "people"),
        "accuracy_at_50_joined": of(lambda it: bool(it.about.joined)),
        "accuracy_at_50_if_always_whole_picture": proportion(
            [WHOLE_IMAGE.iou(it.boxes[0]) >= HIT for it in items if not it.about.joined]
        ),
        "mean_iou": mean(overlaps),
        "refused": proportion([not answer.grounded.boxes for answer in answers]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, overlaps)


def identify_items(photo: Photo) -> list[Item]:
    """Return an item for each referent with one box."""
    return [
        Item(photo.image, Request(Task.IDENTIFY, region=it.box), it.names, (it.box,), it)
        for it in referents(photo)
        if len(it.boxes) == 1
    ]


def identify_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score referring expression generation (REG): whether the noun is one that people used."""
    right = [_same_noun(answer.grounded.text, item.about.names) for item, answer in paired(items, answers)]
    others = [hit for item, hit in zip(items, right, strict=True) if item.about.type != "people"]
    measures = {
        "noun_right": proportion(right),
        "noun_right_but_people": proportion(others),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in right])


def grounding_items(photo: Photo) -> list[Item]:
    """Return a grounded caption item if the photo has a referent with one box."""
    single = tuple(it for it in referents(photo) if len(it.boxes) == 1)
    return [Item(photo.image, Request(Task.GROUNDING), photo.captions, about=single)] if single else []


def grounding_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score grounded captions: the boxes of phrases whose noun names exactly one referent."""
    overlaps = [
        list(phrase_overlaps(item.about, answer.grounded).values()) for item, answer in paired(items, answers)
    ]
    every = [overlap for each in overlaps for overlap in each]
    measures = {
        "phrase_accuracy_at_50": proportion([overlap >= HIT for overlap in every]),
        "phrase_mean_iou": mean(every),
        "phrases_a_caption": mean([len(answer.grounded.phrases) for answer in answers]),
        "captions_with_a_box": proportion([bool(answer.grounded.boxes) for answer in answers]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [sum(each) / max(len(each), 1) for each in overlaps])


def detection_items(photo: Photo) -> list[Item]:
    """Return an item for the caption with the most boxed phrases, and one for each referent's first name."""
    captions = sorted(grounded_captions(photo), key=lambda it: -len(it.phrases))[:1]
    items = [
        Item(photo.image, Request(Task.DETECTION, it.text), (it.text,), it.boxes, True) for it in captions
    ]
    for it in referents(photo):
        name = it.names[0].lower()
        items.append(Item(photo.image, Request(Task.DETECTION, name), (name,), it.boxes, False))
    return items


def detection_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score detection: recall and precision of boxes at IoU 0.5, for captions and for phrases."""
    right, found = [], []
    for item, answer in paired(items, answers):
        boxes = answer.grounded.distinct_boxes
        found.append(len(boxes))
        right.append(sum(match_boxes(boxes, item.boxes)))
    measures: dict[str, Measure] = {}
    for kind, of_captions in (("caption", True), ("phrase", False)):
        kept = [index for index, item in enumerate(items) if item.about is of_captions]
        hits = [right[index] for index in kept]
        measures[f"recall_at_50_{kind}"] = ratio(hits, [len(items[index].boxes) for index in kept])
        measures[f"precision_at_50_{kind}"] = ratio(hits, [found[index] for index in kept])
    measures["malformed"] = malformed(items, answers)
    return Scored(measures, [hits / max(len(it.boxes), 1) for it, hits in zip(items, right, strict=True)])


def absent_items(photos: Sequence[Photo]) -> Build:
    """Return a builder of `[refer]` items for a present thing and one that is only in other photos."""
    absent = AbsentNames(photos)

    def build(photo: Photo) -> list[Item]:
        random_ = random.Random(photo.image)
        named = [it for it in unique_names(photo) if not it.joined]
        missing = absent.draw(photo, random_) if named else None
        if missing is None:
            return []
        shown = random_.choice(named)
        return [
            Item(
                photo.image,
                Request(Task.REFER, shown.definite),
                (shown.definite,),
                (shown.referent.box,),
                shown,
            ),
            Item(photo.image, Request(Task.REFER, f"the {missing}"), (f"the {missing}",)),
        ]

    return build


def absent_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the share of absent and of present things that are refused (answered without a box)."""
    refused = [not answer.grounded.boxes for answer in answers]
    of_absent = [hit for item, hit in zip(items, refused, strict=True) if not item.boxes]
    of_present = [hit for item, hit in zip(items, refused, strict=True) if item.boxes]
    measures = {"refused_absent": proportion(of_absent), "refused_present": proportion(of_present)}
    qualities = [float(hit is not bool(item.boxes)) for item, hit in zip(items, refused, strict=True)]
    return Scored(measures, qualities)


def presence_items(photos: Sequence[Photo]) -> Build:
    """Return a builder of presence questions for a present thing and one that is only in other photos."""
    build = absent_items(photos)

    def presence(photo: Photo) -> list[Item]:
        return [_presence(item) for item in build(photo)]

    return presence


def _presence(item: Item) -> Item:
    name = item.texts[0].removeprefix("the ")
    question = f"is there {with_article(name)} in the picture?"
    return Item(item.image, Request(Task.VQA, question), ("yes" if item.boxes else "no",), item.boxes)


def presence_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score presence: accuracy for present things, for absent things, and the mean of both."""
    right = [normalise(answer.grounded.text) == item.texts[0] for item, answer in paired(items, answers)]
    present = [hit for item, hit in zip(items, right, strict=True) if item.boxes]
    absent = [hit for item, hit in zip(items, right, strict=True) if not item.boxes]
    both = ratio(
        [
            hit / max(len(present if item.boxes else absent), 1)
            for item, hit in zip(items, right, strict=True)
        ],
        [1 / max(len(present if item.boxes else absent), 1) for item in items],
    )
    measures = {
        "balanced_accuracy": Measure(both.value, both.low, both.high, len(items)),
        "accuracy_present": proportion(present),
        "accuracy_absent": proportion(absent),
    }
    return Scored(measures, [float(hit) for hit in right])


def _is_small(box: Box) -> bool:
    return box.area < SMALL * 100 * 100


def _same_noun(text: str, names: Sequence[str]) -> bool:
    noun = head(text)
    label = class_of(noun)
    nouns = [head(name) for name in names]
    return noun in nouns or (label is not None and label in map(class_of, nouns))


def phrase_overlaps(things: Sequence[Referent], grounded: GroundedText) -> dict[int, float]:
    """Return the IoU of the boxes of a grounded text, by their index in the text, where known.

    It is known for the single box of a phrase whose noun names exactly one of the referents.
    """
    overlaps, number = {}, 0
    for phrase in grounded.phrases:
        meant = [it for it in things if _same_noun(phrase.text, it.names)]
        if len(meant) == 1 and len(phrase.boxes) == 1:
            overlaps[number] = phrase.boxes[0].iou(meant[0].box)
        number += len(phrase.boxes)
    return overlaps


__all__ = ["absent_items", "absent_score", "detection_items", "detection_score", "grounding_items"]
__all__ += ["grounding_score", "identify_items", "identify_score", "presence_items", "presence_score"]
__all__ += ["phrase_overlaps", "refer_items", "refer_score"]
