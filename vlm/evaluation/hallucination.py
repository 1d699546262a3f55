"""Suites for hallucinated objects: named in descriptions, located on request, affirmed in answers.

An object counts as present if a detection of any score or a caption shows its class. Only photos with
captions are used.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from ..answers import Generation, Request
from ..data.instructions import certain_boxes
from ..data.nouns import CLASS_OF, plural, with_article
from ..data.photos import Photo
from ..tasks import Task
from .answers import normalise
from .items import Item, Scored, malformed
from .metrics import Measure, mean, proportion, ratio

LONG_PROMPT = "please describe this image as detailed as possible"

# The three prompts for a description that the paper compares (section 4.4).
PROMPTS: dict[str, Request] = {
    "long": Request(None, LONG_PROMPT),
    "grounded": Request(Task.GROUNDING),
    "short": Request(Task.CAPTION),
}

# Minimum scores of a box to count as found.
THRESHOLDS = (0.25, 0.5, 0.75)

# Classes to ask for if nothing hints at them in a photo.
ABSENT = ("dog", "cat", "horse", "car", "bicycle", "boat", "bird", "chair", "bottle", "cow", "umbrella", "tv")

# The most frequent classes.
COMMONEST = ("person", "dog")

# "orange" is a colour in almost every caption; any table counts as a dining table.
_CLASS_OF = {word: label for word, label in CLASS_OF.items() if label != "orange"} | {"table": "dining table"}
_CLASS_OF |= {plural(word): label for word, label in _CLASS_OF.items()}
_NAMES = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, _CLASS_OF), key=len, reverse=True))})\b")
# Names of games, sports gear or food that contain the name of an object.
_NAMESAKES = re.compile(
    r"\b(?:(?:foot|basket|base|volley)ball|(?:soccer|tennis) ball)s?"
    r"(?=\s+(?:players?|courts?|fields?|games?|teams?|match(?:es)?|caps?|uniforms?|jerseys?|hoops?)\b)"
    r"|\bhot dog(?=\s+stands?\b)|\btable(?=\s+tennis\b)"
)


def named_classes(text: str) -> set[str]:
    """Return the detector classes in a text; "hot dog" is not a dog and "football field" not a ball."""
    plain = _NAMESAKES.sub("", text.lower().replace("-", " "))
    return {_CLASS_OF[match] for match in _NAMES.findall(plain)}


def present_classes(photo: Photo) -> set[str]:
    """Return the classes in the photo, by its detections and captions."""
    return set(photo.labels).union(*map(named_classes, photo.captions))


def description_items(photo: Photo) -> list[Item]:
    """Return one item for each of the three prompts."""
    if not photo.captions:
        return []
    present = present_classes(photo)
    return [
        Item(photo.image, request, photo.captions, about=(name, present)) for name, request in PROMPTS.items()
    ]


def description_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score CHAIR (arXiv 1809.02156): the share of objects, and of sentences, that are hallucinated.

    Each answer counts as one sentence, like captions in the paper.
    """
    named = [named_classes(answer.grounded.text) for answer in answers]
    false = [len(classes - item.about[1]) for item, classes in zip(items, named, strict=True)]
    measures: dict[str, Measure] = {}
    for name in PROMPTS:
        of = [index for index, item in enumerate(items) if item.about[0] == name]
        measures |= {
            f"chair_objects_{name}": ratio([false[i] for i in of], [len(named[i]) for i in of]),
            f"chair_sentences_{name}": proportion([false[i] > 0 for i in of]),
            f"objects_named_{name}": mean([len(named[i]) for i in of]),
            f"words_{name}": mean([len(answers[i].grounded.text.split()) for i in of]),
        }
    qualities = [1 - count / max(len(classes), 1) for count, classes in zip(false, named, strict=True)]
    return Scored(measures | {"malformed": malformed(items, answers)}, qualities)


def absent_class(photo: Photo) -> str | None:
    """Return a fixed common class that is absent from the photo; None without captions."""
    choices = [label for label in ABSENT if label not in present_classes(photo)]
    return random.Random(photo.image).choice(choices) if choices and photo.captions else None


def absent_items(photo: Photo) -> list[Item]:
    """Return a `[refer]` and a `[detection]` item for an absent class."""
    absent = absent_class(photo)
    if absent is None:
        return []
    asked = (Request(Task.REFER, f"the {absent}"), Request(Task.DETECTION, absent))
    return [Item(photo.image, request, about=absent) for request in asked]


def absent_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the share of absent objects for which the model gives a box, by minimum score."""
    best = [max((box.score or 0.0 for box in answer.grounded.boxes), default=None) for answer in answers]
    measures: dict[str, Measure] = {}
    for task in (Task.REFER, Task.DETECTION):
        scores = [score for item, score in zip(items, best, strict=True) if item.request.task is task]
        measures[f"{task.value}_false_finds"] = proportion([score is not None for score in scores])
        for threshold in THRESHOLDS:
            sure = [score is not None and score >= threshold for score in scores]
            measures[f"{task.value}_false_finds_from_{threshold}"] = proportion(sure)
    return Scored(measures, [1.0 - (score or 0.0) for score in best])


def presence_items(photo: Photo) -> list[Item]:
    """Return presence questions: about the most frequent classes, a present one and an absent one.

    As in POPE (arXiv 2305.10355), but every photo gets the most frequent classes, which exposes a model that
    answers by frequency without looking.
    """
    absent = absent_class(photo)
    if absent is None:
        return []
    present = [label for label in photo.labels if certain_boxes(photo, label)]
    one_present = random.Random(photo.image).sample(present, min(1, len(present)))
    hinted = present_classes(photo)
    asked = [label for label in (*COMMONEST, *one_present, absent) if label in present or label not in hinted]
    return [
        Item(
            photo.image,
            Request(Task.VQA, f"is there {with_article(label)} in the picture?"),
            ("yes" if label in present else "no",),
            about=label,
        )
        for label in dict.fromkeys(asked)
    ]


def presence_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score presence: accuracy, and the accuracy of answering by class alone.

    `accuracy_rarer_answer` covers items whose right answer is the rarer one for its class: it is 0 for a
    model that answers by class without looking.
    """
    answered = [normalise(answer.grounded.text) for answer in answers]
    right = [text == item.texts[0] for item, text in zip(items, answered, strict=True)]
    counts = Counter((item.about, item.texts[0]) for item in items)
    other = {"yes": "no", "no": "yes"}
    rarer = [counts[item.about, item.texts[0]] < counts[item.about, other[item.texts[0]]] for item in items]

    def of(answer: str) -> list[bool]:
        return [hit for item, hit in zip(items, right, strict=True) if item.texts[0] == answer]

    measures = {
        "accuracy": proportion(right),
        "accuracy_if_by_class_alone": proportion([not it for it in rarer]),
        "accuracy_rarer_answer": proportion([hit for hit, it in zip(right, rarer, strict=True) if it]),
        "accuracy_present": proportion(of("yes")),
        "accuracy_absent": proportion(of("no")),
        "says_yes": proportion([text == "yes" for text in answered]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in right])
