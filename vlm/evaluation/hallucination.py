"""Suites over things that are not there: named in descriptions, found when asked for, affirmed in answers.

What is there is what a detector or a person saw: a box of the class, however faint, or a mention in one of
the photo's captions. So only photos with captions are asked.
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

# The three ways of asking for a description that the paper compares (section 4.4).
PROMPTS: dict[str, Request] = {
    "long": Request(None, LONG_PROMPT),
    "grounded": Request(Task.GROUNDING),
    "short": Request(Task.CAPTION),
}

# Scores from which a box counts as found; the caller of the model may choose another.
THRESHOLDS = (0.25, 0.5, 0.75)

# Things that people ask for, asked about here where nothing hints at them.
ABSENT = ("dog", "cat", "horse", "car", "bicycle", "boat", "bird", "chair", "bottle", "cow", "umbrella", "tv")

# What most photos show.
COMMONEST = ("person", "dog")

# "orange" is a colour in nearly every caption; any table is one of COCO's.
_CLASS_OF = {word: label for word, label in CLASS_OF.items() if label != "orange"} | {"table": "dining table"}
_CLASS_OF |= {plural(word): label for word, label in _CLASS_OF.items()}
_NAMES = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, _CLASS_OF), key=len, reverse=True))})\b")
# Games, and what belongs to them or to food, are called after things that need not be there.
_NAMESAKES = re.compile(
    r"\b(?:(?:foot|basket|base|volley)ball|(?:soccer|tennis) ball)s?"
    r"(?=\s+(?:players?|courts?|fields?|games?|teams?|match(?:es)?|caps?|uniforms?|jerseys?|hoops?)\b)"
    r"|\bhot dog(?=\s+stands?\b)|\btable(?=\s+tennis\b)"
)


def named_classes(text: str) -> set[str]:
    """Return the detector classes that a text names, "hot dog" being no dog and "football field" no ball."""
    plain = _NAMESAKES.sub("", text.lower().replace("-", " "))
    return {_CLASS_OF[match] for match in _NAMES.findall(plain)}


def present_classes(photo: Photo) -> set[str]:
    """Return the classes that a box or a caption says are in the photo."""
    return {it.label for it in photo.objects}.union(*map(named_classes, photo.captions))


def description_items(photo: Photo) -> list[Item]:
    """The photo described on each of the three prompts."""
    if not photo.captions:
        return []
    present = present_classes(photo)
    return [
        Item(photo.image, request, photo.captions, about=(name, present)) for name, request in PROMPTS.items()
    ]


def description_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """CHAIR (arXiv 1809.02156): the share of named objects, and of sentences, that are not in the photo.

    An answer to any of the prompts counts as one sentence, as captions do there.
    """
    named = [named_classes(answer.grounded.text) for answer in answers]
    false = [len(said - item.about[1]) for item, said in zip(items, named, strict=True)]
    measures: dict[str, Measure] = {}
    for name in PROMPTS:
        of = [index for index, item in enumerate(items) if item.about[0] == name]
        measures |= {
            f"chair_objects_{name}": ratio([false[i] for i in of], [len(named[i]) for i in of]),
            f"chair_sentences_{name}": proportion([false[i] > 0 for i in of]),
            f"objects_named_{name}": mean([len(named[i]) for i in of]),
            f"words_{name}": mean([len(answers[i].grounded.text.split()) for i in of]),
        }
    qualities = [1 - count / max(len(said), 1) for count, said in zip(false, named, strict=True)]
    return Scored(measures | {"malformed": malformed(items, answers)}, qualities)


def absent_class(photo: Photo) -> str | None:
    """Return a common class that nothing hints at, always the same; None for a photo without captions."""
    choices = [label for label in ABSENT if label not in present_classes(photo)]
    return random.Random(photo.image).choice(choices) if choices and photo.captions else None


def absent_items(photo: Photo) -> list[Item]:
    """A thing that is not there, asked for by `[refer]` and by `[detection]`."""
    absent = absent_class(photo)
    if absent is None:
        return []
    asked = (Request(Task.REFER, f"the {absent}"), Request(Task.DETECTION, absent))
    return [Item(photo.image, request, about=absent) for request in asked]


def absent_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """The share of absent things for which the model gives a box, by the least score that is believed."""
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
    """Whether a thing is there: the commonest ones, one that is there and one that is not.

    As in POPE (arXiv 2305.10355), save that the commonest are asked of every photo, so that a model that
    only knows what is mostly there is told from one that looks.
    """
    absent = absent_class(photo)
    if absent is None:
        return []
    present = [
        label for label in dict.fromkeys(it.label for it in photo.objects) if certain_boxes(photo, label)
    ]
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
    """Presence: accuracy, beside that of answering by the class alone.

    `accuracy_rarer_answer` is the accuracy where the right answer is the rarer one for its class, which is 0
    for a model that answers by the class without looking.
    """
    told = [normalise(answer.grounded.text) for answer in answers]
    right = [text == item.texts[0] for item, text in zip(items, told, strict=True)]
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
        "says_yes": proportion([text == "yes" for text in told]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in right])


__all__ = ["PROMPTS", "THRESHOLDS", "absent_class", "absent_items", "absent_score", "description_items"]
__all__ += ["description_score", "named_classes", "presence_items", "presence_score", "present_classes"]
