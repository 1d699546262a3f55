"""Turn annotated photos into questions and answers for training."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ..prompt_form import OURS, PromptForm
from ..tasks import ABSENT_ANSWER, Task, Turn, escape_markers, instruction
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

# More boxes of one class are a crowd, of which the detector misses some: not used.
CROWD = 5
# The most turns in a conversation of mixed tasks.
MOST_TURNS = 6
# Ask for a colour only if it covers at least this share of the object.
SURE_COLOUR = 0.7
_IS_THERE = ("is there {} in the picture?", "is there {}?", "do you see {}?", "can you see {} here?")
_HOW_MANY = ("how many {} are there?", "how many {} do you see?", "count the {}")


@dataclass(frozen=True)
class Sample:
    """One question about an image and its answer; `task` is None for free conversation.

    `follow_ups` continue the conversation and see the earlier turns. `weight` is set for answers that the
    model generated itself (below 0 to make them less likely) and None for annotated ones.
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
    """Return a `[caption]` sample for each human caption, and one without an identifier.

    Photos without captions get a caption made from their annotations, under a different question: its fixed
    wording would otherwise become likelier than the varied human captions and displace them.
    """
    samples = [_sample(Task.CAPTION, text, random_) for text in photo.captions]
    if photo.captions:
        samples.append(Sample(None, Turn("what do you see in this picture?", random_.choice(photo.captions))))
    elif not photo.phrases and (known := _certain_caption(photo)) is not None:
        samples.append(Sample(None, Turn("what is this a photo of?", known)))
    return samples


def refer_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Return `[refer]` samples: from an expression to one box."""
    asked = [(it.definite, it.text, it.referent.box) for it in unique_names(photo)] if photo.phrases else []
    asked = asked or [(it.definite, it.text, it.box) for it in expressions(photo)]
    return [
        _sample(Task.REFER, format_box(box), random_, random_.choice((definite, text)))
        for definite, text, box in asked
    ]


ABSENT_TASKS = (Task.REFER, Task.DETECTION, Task.VQA)
"""The tasks that can answer that something is absent."""


def absent_sample(task: Task, absent: str, random_: random.Random) -> Sample:
    """Return a sample of one of `ABSENT_TASKS` about an absent thing, named without its article."""
    if task is Task.REFER:
        return _sample(task, ABSENT_ANSWER, random_, random_.choice((f"the {absent}", absent)))
    if task is Task.DETECTION:
        return _sample(task, ABSENT_ANSWER, random_, absent)
    return _sample(task, "no", random_, random_.choice(_IS_THERE).format(with_article(absent)))


def identify_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Return `[identify]` samples: from a box to an expression."""
    if photo.phrases:
        return [
            _sample(Task.IDENTIFY, strip_determiner(random_.choice(it.names)), random_, region=it.box)
            for it in referents(photo)
            if len(it.boxes) == 1
        ]
    by_box: dict[Box, str] = {item.box: item.text for item in expressions(photo)}
    for label in photo.labels:
        for item in distinct(photo, label):
            if item.score >= CONFIDENT:
                by_box.setdefault(to_box(item), label)
    return [_sample(Task.IDENTIFY, text, random_, region=box) for box, text in by_box.items()]


def detection_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Return `[detection]` samples: from a phrase or a caption to all its boxes, left to right."""
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
    for label in photo.labels:
        boxes = certain_boxes(photo, label)
        if boxes:
            name = plural(label) if len(boxes) > 1 and random_.random() < 0.5 else label
            groups.append(GroundedPhrase(name, boxes))
    asked = [[group] for group in groups]
    if len(groups) > 1:
        asked.append(groups[:3])
    return [_detection(group, random_) for group in asked]


def grounding_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Return `[grounding]` samples: captions with human boxes, or with detections that match beyond doubt."""
    if photo.phrases:
        found = grounded_captions(photo)
    else:
        found = [it for it in (ground_caption(photo, text) for text in photo.captions) if it.phrases]
    return [_sample(Task.GROUNDING, format_grounded(item), random_) for item in found]


def vqa_samples(photo: Photo, random_: random.Random) -> list[Sample]:
    """Return `[vqa]` samples: human questions, and those that boxes and phrases answer."""
    asked = [(item.question, ", ".join(item.answer)) for item in photo.questions]
    if photo.name is not None:
        asked.append((random_.choice(("what is this?", "what does the picture show?")), photo.name))
    if photo.phrases:
        asked += _phrase_questions(photo, random_)
    else:
        for label in photo.labels:
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


def sample_from_record(record: Record, random_: random.Random, form: PromptForm = OURS) -> Sample:
    """Return the sample of a record, each turn worded by a random template of its task."""
    return worded(record, random_.randrange, form)


def worded(record: Record, draw: Callable[[int], int], form: PromptForm) -> Sample:
    """Return the sample of a record; `draw` picks the index of a template or answer from their number."""
    return _conversation([_sample_from_turn(turn, draw, form) for turn in record.turns])


def dialogue(samples: Sequence[Sample], random_: random.Random) -> Sample:
    """Join questions about one image into a conversation of mixed tasks, in random order (stage 3).

    No question repeats: tasks about the whole image occur at most once, others never in the same words.
    """
    chosen: dict[Task | str | None, Sample] = {}
    for sample in random_.sample(samples, len(samples)):
        of_the_whole = sample.task in (Task.CAPTION, Task.GROUNDING, None)
        chosen.setdefault(sample.task if of_the_whole else sample.turn.user, sample)
    return _conversation(list(chosen.values())[:MOST_TURNS])


def ground_caption(photo: Photo, caption: str) -> GroundedText:
    """Ground the noun phrases of a caption that mean exactly one box."""
    found = noun_phrases(caption)
    phrases = []
    for phrase in found:
        things = distinct(photo, phrase.label)
        only_mention = sum(other.label == phrase.label for other in found) == 1
        if only_mention and len(things) == 1 and things[0].score >= CONFIDENT:
            phrases.append(GroundedPhrase(phrase.text, (to_box(things[0]),), phrase.start))
    return GroundedText(caption, tuple(phrases))


def _sample_from_turn(turn: TaskTurn, draw: Callable[[int], int], form: PromptForm) -> Sample:
    if turn.words is not None:
        identifier = "" if turn.task is None else f"{turn.task.identifier} "
        return Sample(turn.task, Turn(identifier + escape_markers(turn.words), turn.answer))
    wordings = form.training_wordings[turn.task] if turn.task is not None else ()
    wording = wordings[draw(len(wordings))] if wordings else None
    answers = (turn.answer, *turn.further)
    answer = answers[draw(len(answers)) if turn.further else 0]
    return Sample(turn.task, Turn(instruction(turn.task, turn.argument, turn.region, wording), answer))


def _conversation(exchanges: Sequence[Sample]) -> Sample:
    return replace(exchanges[0], follow_ups=tuple(exchanges[1:]))


def _sample(
    task: Task, answer: str, random_: random.Random, argument: str = "", region: Box | None = None
) -> Sample:
    return _sample_from_turn(TaskTurn(task, argument, answer, region), random_.randrange, OURS)


def certain_boxes(photo: Photo, label: str) -> tuple[Box, ...]:
    """Return all boxes of a class, none if any is uncertain or they are a crowd."""
    things = distinct(photo, label)
    if len(things) > CROWD or any(item.score < CONFIDENT for item in things):
        return ()
    return tuple(to_box(item) for item in things)


def _box_questions(photo: Photo, label: str, random_: random.Random) -> list[tuple[str, str]]:
    boxes = certain_boxes(photo, label)
    if not boxes:
        return []
    asked = [(random_.choice(_IS_THERE).format(with_article(label)), "yes")]
    if label != "person":  # the detector may miss small people
        asked.append((random_.choice(_HOW_MANY).format(plural(label)), str(len(boxes))))
    if len(boxes) == 1:
        asked += _single_questions(distinct(photo, label)[0], boxes[0])
    return asked


def _single_questions(item: DetectedObject, box: Box) -> list[tuple[str, str]]:
    """Ask for the side and the colour of the single object of a class, where both are clear."""
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
    """Ask for what phrases say: presence, colours, clothes, counts."""
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
    """Ask for the clothes of people whose name is unique in the photo."""
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
    """Return a caption of what an uncaptioned photo shows for certain, None if too little is known."""
    if photo.name is not None:
        return with_article(photo.name)
    sure = [label for label in photo.labels if certain_boxes(photo, label)]
    if not sure or len(sure) > 3:
        return None
    counted = [(label, len(certain_boxes(photo, label))) for label in sure]
    named = [with_article(label) if count == 1 else f"{count} {plural(label)}" for label, count in counted]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
