"""From an annotated photo to what the model is asked and should answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ..tasks import ABSENT_ANSWER, INSTRUCTIONS, Task, Turn, defuse, instruction
from .colours import dominant_colour
from .expressions import CONFIDENT, distinct, expressions, to_box
from .nouns import noun_phrases, plural, with_article
from .photos import DetectedObject, Photo
from .records import Record, TaskTurn
from .referents import (
    COLOURS,
    NUMBERS,
    WEARING,
    Referent,
    adjacent_phrases,
    grounded_captions,
    referents,
    strip_determiner,
    unique_names,
    words_of,
)

# A photo with more boxes of one class than this is a crowd: the detector misses some, so it is not asked.
CROWD = 5
# A conversation of mixed tasks has no more turns than this.
MOST_TURNS = 6
# A colour is asked for where it covers at least this much of a thing.
SURE_COLOUR = 0.7
_IS_THERE = ("is there {} in the picture?", "is there {}?", "do you see {}?", "can you see {} here?")
_HOW_MANY = ("how many {} are there?", "how many {} do you see?", "count the {}")


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


def caption_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Each human caption under `[caption]`, and one without an identifier.

    What is known of a photo that nobody captioned is asked for in other words: one fixed form would be
    likelier than any of the many ways in which people caption a photo, and take their place.
    """
    samples = [_sample(Task.CAPTION, text, random_) for text in photo.captions]
    if photo.captions:
        samples.append(Sample(None, Turn("what do you see in this picture?", random_.choice(photo.captions))))
    elif not photo.phrases and (known := _certain_caption(photo)) is not None:
        samples.append(Sample(None, Turn("what is this a photo of?", known)))
    return samples


def refer_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Referring expression comprehension: an expression in, one box out."""
    asked = [(it.definite, it.text, it.referent.box) for it in unique_names(photo)] if photo.phrases else []
    asked = asked or [(it.definite, it.text, it.box) for it in expressions(photo)]
    return [
        _sample(Task.REFER, format_box(box), random_, random_.choice((definite, text)))
        for definite, text, box in asked
    ]


ABSENT_TASKS = (Task.REFER, Task.DETECTION, Task.VQA)
"""The tasks that can say that a thing is not there."""


def absent_sample(task: Task, absent: str, random_: random.Random) -> Sample:
    """Return what one of `ABSENT_TASKS` asks about a thing that is not there, by its name without article."""
    if task is Task.REFER:
        return _sample(task, ABSENT_ANSWER, random_, random_.choice((f"the {absent}", absent)))
    if task is Task.DETECTION:
        return _sample(task, ABSENT_ANSWER, random_, absent)
    return _sample(task, "no", random_, random_.choice(_IS_THERE).format(with_article(absent)))


def identify_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Referring expression generation: a box in, an expression out."""
    if photo.phrases:
        return [
            _sample(Task.IDENTIFY, strip_determiner(random_.choice(it.names)), random_, region=it.box)
            for it in referents(photo)
            if len(it.boxes) == 1
        ]
    by_box: dict[Box, str] = {item.box: item.text for item in expressions(photo)}
    for label in dict.fromkeys(item.label for item in photo.objects):
        for item in distinct(photo, label):
            if item.score >= CONFIDENT:
                by_box.setdefault(to_box(item), label)
    return [_sample(Task.IDENTIFY, text, random_, region=box) for box, text in by_box.items()]


def detection_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Object parsing and grounding: a phrase or a caption in, every box of it out, left to right."""
    if photo.phrases:
        found = [
            _detection([_grounded_phrase(it, random_)], random_)
            for it in referents(photo)
            if len(it.boxes) <= CROWD
        ]
        found += [
            _sample(Task.DETECTION, format_detection(it.phrases), random_, it.text)
            for it in grounded_captions(photo)
            if len(it.phrases) > 1
        ]
        return found
    groups: list[GroundedPhrase] = []
    for label in dict.fromkeys(item.label for item in photo.objects):
        boxes = certain_boxes(photo, label)
        if boxes:
            name = plural(label) if len(boxes) > 1 and random_.random() < 0.5 else label
            groups.append(GroundedPhrase(name, boxes))
    asked = [[group] for group in groups]
    if len(groups) > 1:
        asked.append(groups[:3])
    return [_detection(group, random_) for group in asked]


def grounding_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Grounded captions: with all that people boxed, or where caption and boxes match without a doubt."""
    if photo.phrases:
        found = grounded_captions(photo)
    else:
        found = [it for it in (ground_caption(photo, text) for text in photo.captions) if it.phrases]
    return [_sample(Task.GROUNDING, format_grounded(item), random_) for item in found]


def vqa_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Human questions, and those that boxes and phrases can answer."""
    asked = [(item.question, ", ".join(item.answer)) for item in photo.questions]
    if photo.name is not None:
        asked.append((random_.choice(("what is this?", "what does the picture show?")), photo.name))
    if photo.phrases:
        asked += _phrase_questions(photo, random_)
    else:
        for label in dict.fromkeys(item.label for item in photo.objects):
            asked += _box_questions(photo, label, random_)
    return [_sample(Task.VQA, answer, random_, question) for question, answer in asked]


BUILDERS: dict[Task, Builder] = {
    Task.CAPTION: caption_samples,
    Task.VQA: vqa_samples,
    Task.REFER: refer_samples,
    Task.DETECTION: detection_samples,
    Task.GROUNDING: grounding_samples,
    Task.IDENTIFY: identify_samples,
}


def sample_from_record(record: Record, random_: random.Random) -> Sample:
    """Put a record's conversation into words, each turn in one of its task's templates."""
    return _conversation([_sample_from_turn(turn, random_) for turn in record.turns])


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


def _sample_from_turn(turn: TaskTurn, random_: random.Random) -> Sample:
    if turn.words is not None:
        identifier = "" if turn.task is None else f"{turn.task.identifier} "
        return Sample(turn.task, Turn(identifier + defuse(turn.words), turn.answer))
    wordings = INSTRUCTIONS[turn.task] if turn.task is not None else ()
    wording = wordings[random_.randrange(len(wordings))] if wordings else None
    return Sample(turn.task, Turn(instruction(turn.task, turn.argument, turn.region, wording), turn.answer))


def _conversation(exchanges: Sequence[Sample]) -> Sample:
    return replace(exchanges[0], follow_ups=tuple(exchanges[1:]))


def _sample(
    task: Task, answer: str, random_: random.Random, argument: str = "", region: Box | None = None
) -> Sample:
    return _sample_from_turn(TaskTurn(task, argument, answer, region), random_)


def certain_boxes(photo: Photo, label: str) -> tuple[Box, ...]:
    """Return every box of a class, or none where one is in doubt or there is a crowd."""
    things = distinct(photo, label)
    if len(things) > CROWD or any(item.score < CONFIDENT for item in things):
        return ()
    return tuple(to_box(item) for item in things)


def _box_questions(photo: Photo, label: str, random_: random.Random) -> list[tuple[str, str]]:
    boxes = certain_boxes(photo, label)
    if not boxes:
        return []
    asked = [(random_.choice(_IS_THERE).format(with_article(label)), "yes")]
    if label != "person":  # small people may be missing
        asked.append((random_.choice(_HOW_MANY).format(plural(label)), str(len(boxes))))
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
    colour = dominant_colour(item, SURE_COLOUR)
    if colour is not None:
        wears = "what color does the person wear?"
        asked.append((wears if item.label == "person" else f"what color is the {item.label}?", colour))
    return asked


def _phrase_questions(photo: Photo, random_: random.Random) -> list[tuple[str, str]]:
    """Return what phrases tell: presence, colours, what someone wears, how many."""
    asked = []
    named = unique_names(photo)
    for name in random_.sample(named, min(1, len(named))):
        asked.append((random_.choice(_IS_THERE).format(with_article(name.text)), "yes"))
    for name in named:
        first, *rest = words_of(name.text)
        if first in COLOURS and len(rest) in (1, 2) and not set(rest) & COLOURS:
            asked.append((f"what color is the {' '.join(rest)}?", first))
    asked += _clothing_questions(photo)
    for it in referents(photo):
        number = NUMBERS.get(it.names[0].lower().split()[0])
        if number is not None and number == len(it.boxes):
            how_many = random_.choice(_HOW_MANY)
            asked.append((how_many.format(strip_determiner(it.names[0])), str(number)))
    return asked


def _clothing_questions(photo: Photo) -> list[tuple[str, str]]:
    """Return what a person wears who alone is called so."""
    single = {name.text: name for name in unique_names(photo) if name.referent.type == "people"}
    return [
        (f"what is the {strip_determiner(person.text)} wearing?", strip_determiner(clothes.text))
        for person, joint, clothes in adjacent_phrases(photo)
        if joint in WEARING and clothes.type == "clothing" and strip_determiner(person.text) in single
    ]


def _grounded_phrase(referent: Referent, random_: random.Random) -> GroundedPhrase:
    return GroundedPhrase(strip_determiner(random_.choice(referent.names)), referent.boxes)


def _detection(group: Sequence[GroundedPhrase], random_: random.Random) -> Sample:
    return _sample(Task.DETECTION, format_detection(group), random_, ", ".join(item.text for item in group))


def _certain_caption(photo: Photo) -> str | None:
    """Return what an uncaptioned photo shows beyond doubt, with its article."""
    if photo.name is not None:
        return with_article(photo.name)
    sure = [label for label in dict.fromkeys(it.label for it in photo.objects) if certain_boxes(photo, label)]
    if not sure or len(sure) > 3:
        return None
    counted = [(label, len(certain_boxes(photo, label))) for label in sure]
    named = [with_article(label) if count == 1 else f"{count} {plural(label)}" for label, count in counted]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


__all__ = [
    "ABSENT_TASKS",
    "BUILDERS",
    "Sample",
    "absent_sample",
    "certain_boxes",
    "dialogue",
    "ground_caption",
    "sample_from_record",
]
