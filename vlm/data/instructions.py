"""From an annotated photo to what the model is asked and should answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ..tasks import INSTRUCTIONS, Task, Turn, defuse, instruction
from .colours import prevailing
from .expressions import CONFIDENT, RIVAL, distinct, expressions, to_box
from .nouns import mentions, noun_phrases, plural, with_article
from .photos import DetectedObject, Photo
from .records import Record, TaskTurn

# A photo with more boxes of one class than this is a crowd: the detector misses some, so it is not asked.
CROWD = 5
# A conversation of mixed tasks has no more turns than this.
MOST_TURNS = 6
# A colour is asked for where it covers at least this much of a thing.
SURE_COLOUR = 0.7
# Things that people ask for; "is there a cat?" is answered with no only for these, and only without a hint.
ABSENT = ("dog", "cat", "horse", "car", "bicycle", "boat", "bird", "chair", "bottle", "cow", "umbrella", "tv")
# People are in most photos: denied too wherever there are none, or the answer could be told without looking.
_DENIED = dict.fromkeys(ABSENT, 1) | {"person": 20}


@dataclass(frozen=True)
class Sample:
    """One question over a photo and the answer to learn; `task` is None for free conversation.

    `follow_ups` go on with the same conversation: they see what was said before. `weight` is that of an
    answer which the model wrote itself, below 0 for one to be made less likely; None: the answer is given.
    """

    task: Task | None
    turn: Turn
    follow_ups: tuple[Sample, ...] = ()
    weight: float | None = None

    @property
    def exchanges(self) -> tuple[Sample, ...]:
        """The sample and its follow-ups, in order."""
        return self, *self.follow_ups


Builder = Callable[[Photo, random.Random], list[Sample]]


def captions(photo: Photo, random_: random.Random) -> list[Sample]:
    """Each human caption under `[caption]`, and one without an identifier."""
    samples = [_sample(Task.CAPTION, text, random_) for text in photo.captions]
    if photo.captions:
        samples.append(Sample(None, Turn("what do you see in this picture?", random_.choice(photo.captions))))
    return samples


def referring(photo: Photo, random_: random.Random) -> list[Sample]:
    """Referring expression comprehension: an expression in, one box out."""
    return [
        _sample(Task.REFER, format_box(item.box), random_, random_.choice((item.definite, item.text)))
        for item in expressions(photo)
    ]


def identifying(photo: Photo, random_: random.Random) -> list[Sample]:
    """Referring expression generation: a box in, an expression out; the most telling noun for each box."""
    by_box: dict[Box, str] = {item.box: item.text for item in expressions(photo)}
    for label in dict.fromkeys(item.label for item in photo.objects):
        for item in distinct(photo, label):
            if item.score >= CONFIDENT:
                by_box.setdefault(to_box(item), label)
    return [_sample(Task.IDENTIFY, text, random_, region=box) for box, text in by_box.items()]


def detecting(photo: Photo, random_: random.Random) -> list[Sample]:
    """Object parsing and grounding: a phrase in, every box of it out, left to right."""
    groups: list[GroundedPhrase] = []
    for label in dict.fromkeys(item.label for item in photo.objects):
        boxes = all_of(photo, label)
        if boxes:
            name = plural(label) if len(boxes) > 1 and random_.random() < 0.5 else label
            groups.append(GroundedPhrase(name, boxes))
    asked = [[group] for group in groups]
    if len(groups) > 1:
        asked.append(groups[:3])
    return [
        _sample(Task.DETECTION, format_detection(group), random_, ", ".join(item.text for item in group))
        for group in asked
    ]


def grounding(photo: Photo, random_: random.Random) -> list[Sample]:
    """Grounded captions, where a caption's noun phrases and the boxes match without a doubt."""
    grounded = (ground_caption(photo, text) for text in photo.captions)
    return [_sample(Task.GROUNDING, format_grounded(item), random_) for item in grounded if item.phrases]


def questions(photo: Photo, random_: random.Random) -> list[Sample]:
    """Human questions, and those that boxes can answer: how many, is there, left or right."""
    asked = [(item.question, ", ".join(item.answer)) for item in photo.questions]
    if photo.name is not None:
        asked.append((random_.choice(("what is this?", "what does the picture show?")), photo.name))
    for label in dict.fromkeys(item.label for item in photo.objects):
        asked += _box_questions(photo, label, random_)
    absent = _absent(photo, random_)
    if absent is not None:
        asked.append((f"is there {with_article(absent)} in the picture?", "no"))
    return [_sample(Task.VQA, answer, random_, question) for question, answer in asked]


BUILDERS: dict[Task, Builder] = {
    Task.CAPTION: captions,
    Task.VQA: questions,
    Task.REFER: referring,
    Task.DETECTION: detecting,
    Task.GROUNDING: grounding,
    Task.IDENTIFY: identifying,
}


def worded(record: Record, random_: random.Random) -> Sample:
    """Put a record's conversation into words, each turn in one of its task's templates."""
    return _conversation([_worded(turn, random_) for turn in record.turns])


def dialogue(samples: Sequence[Sample], random_: random.Random) -> Sample:
    """Join questions over one picture into a conversation of mixed tasks, in random order (stage 3).

    Nobody asks twice for the same: of the tasks that ask of the whole picture each is asked at most once, and
    of other questions no two in the same words.
    """
    chosen: dict[Task | str | None, Sample] = {}
    for sample in random_.sample(samples, len(samples)):
        of_the_whole = sample.task in (Task.CAPTION, Task.GROUNDING, None)
        chosen.setdefault(sample.task if of_the_whole else sample.turn.user, sample)
    return _conversation(list(chosen.values())[:MOST_TURNS])


def ground_caption(photo: Photo, caption: str) -> GroundedText:
    """Mark the noun phrases of a caption that mean exactly one box; the rest stays plain text."""
    found = noun_phrases(caption)
    phrases = []
    for phrase in found:
        things = distinct(photo, phrase.label)
        only_mention = sum(other.label == phrase.label for other in found) == 1
        if only_mention and len(things) == 1 and things[0].score >= CONFIDENT:
            phrases.append(GroundedPhrase(phrase.text, (to_box(things[0]),), phrase.start))
    return GroundedText(caption, tuple(phrases))


def _worded(turn: TaskTurn, random_: random.Random) -> Sample:
    if turn.words is not None:
        identifier = "" if turn.task is None else f"{turn.task.identifier} "
        return Sample(turn.task, Turn(identifier + defuse(turn.words), turn.answer))
    wording = 0 if turn.task is None else random_.randrange(len(INSTRUCTIONS[turn.task]))
    return Sample(turn.task, Turn(instruction(turn.task, turn.argument, turn.region, wording), turn.answer))


def _conversation(exchanges: Sequence[Sample]) -> Sample:
    return replace(exchanges[0], follow_ups=tuple(exchanges[1:]))


def _sample(
    task: Task, answer: str, random_: random.Random, argument: str = "", region: Box | None = None
) -> Sample:
    return _worded(TaskTurn(task, argument, answer, region), random_)


def all_of(photo: Photo, label: str) -> tuple[Box, ...]:
    """Return every box of a class, or none where one is in doubt or there is a crowd."""
    things = distinct(photo, label)
    if len(things) > CROWD or any(item.score < CONFIDENT for item in things):
        return ()
    return tuple(to_box(item) for item in things)


def _box_questions(photo: Photo, label: str, random_: random.Random) -> list[tuple[str, str]]:
    boxes = all_of(photo, label)
    if not boxes:
        return []
    how_many = random_.choice(("how many {} are there?", "how many {} do you see?", "count the {}"))
    asked = [(how_many.format(plural(label)), str(len(boxes)))]
    asked.append((f"is there {with_article(label)} in the picture?", "yes"))
    if len(boxes) == 1:
        asked += _single_questions(distinct(photo, label)[0], boxes[0])
    return asked


def _single_questions(item: DetectedObject, box: Box) -> list[tuple[str, str]]:
    """Return where an only thing of its class is, and its colour, where they are plain."""
    asked = []
    centre = (box.x0 + box.x1) / 2
    if abs(centre - 50) > 10:
        side = "left" if centre < 50 else "right"
        asked.append((f"is the {item.label} on the left or on the right?", side))
    colour = prevailing(item, SURE_COLOUR)
    if colour is not None:
        wears = "what color does the person wear?"
        asked.append((wears if item.label == "person" else f"what color is the {item.label}?", colour))
    return asked


def _absent(photo: Photo, random_: random.Random) -> str | None:
    """Return a class that no caption and no faint box hints at; None for photos without captions."""
    seen = {item.label for item in photo.objects if item.score >= RIVAL}
    weights = {
        label: weight
        for label, weight in _DENIED.items()
        if label not in seen and not any(mentions(text, label) for text in photo.captions)
    }
    return random_.choices(list(weights), list(weights.values()))[0] if weights and photo.captions else None


__all__ = ["BUILDERS", "Sample", "all_of", "dialogue", "ground_caption", "worded"]
