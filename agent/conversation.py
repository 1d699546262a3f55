"""One message read within its conversation: requests become steps, and what points back gets its meaning."""

from __future__ import annotations

from dataclasses import replace

from ..vlm.grounding import Box
from ..vlm.tasks import Task
from . import ellipsis, pointing, talk
from .carriers import trim
from .classify import Kind, Reading, classify
from .describing import (
    asks_for_grounding,
    asks_for_shorter,
    names_whatever,
    speaks_of_a_caption,
    wants_more_detail,
)
from .finding import find_target, target_of
from .mentions import Mention, mentions_in, mentions_of, mentions_of_step
from .phrases import is_phrase
from .plan import PastStep, PlanContext, Step
from .reference import complete, picks_one, resolve, resolve_ones
from .requests import split
from .words import compiled

_PLACES = (Task.REFER, Task.DETECTION)
# These point at a person or into a thing, not at what a box holds.
_NO_THING = compiled(r"\b(?:who|he|she|him|her|they|them|these|those|(?:in|on|under|behind) it)\b")
_PRONOUN = compiled(r"\b(?:he|she|it|they|him|her|them|his|its|their)\b")
_THOSE = compiled(r"(?:those|the ones)\b")
_PART_OF = compiled(r"the \w+ (?:from|in|on|to|of)\b")


class Conversation:
    """Collects the steps of one message; `why` says in a sentence how they were chosen."""

    def __init__(self, context: PlanContext, typed: list[Box]) -> None:
        self.steps: list[Step] = []
        self._reasons: list[str] = []
        self._region = typed[0] if typed else context.region
        self._typed = typed
        self._earlier = _last_step(context)
        self._found = _single_box(self._earlier)
        self._past = mentions_of(context.turns)
        self._said: list[Mention] = []

    @property
    def why(self) -> str:
        """The choice explained to a person."""
        return "; then ".join(self._reasons)

    @property
    def _mentions(self) -> list[Mention]:
        return self._said + self._past

    # --- the three ways in --------------------------------------------------------------------------------

    def obey(self, task: Task, text: str) -> None:
        """Take a typed identifier at its word."""
        argument = text
        if task in _PLACES:
            trimmed = trim(text).rstrip(" ?!.")
            target = find_target(trimmed)
            argument = target.phrase if target else trimmed
        if task is not Task.GROUNDING:
            argument = resolve(argument, self._mentions)
        region = self._region or (self._found if task is Task.IDENTIFY else None)
        self._add(Step(task, argument, region), "the identifier was typed")

    def take(self, reading: Reading) -> None:
        """Take a message that was read elsewhere, in another language."""
        self._add(Step(reading.task, reading.argument, self._region_for(reading)), reading.why)

    def read(self, text: str) -> None:
        """Read a message in English."""
        if not any(map(str.isalnum, text)):
            self._add(Step(Task.IDENTIFY, "", self._region), "it is nothing but a region")
            return
        if self._earlier is not None:
            rest = self._continue(self._earlier, text)
            if rest is None:
                return
            text = rest
        pieces = split(text)
        if len(pieces) > 1 and asks_for_grounding(text):
            self._add(Step(Task.GROUNDING), "it asks for a description that places what it mentions")
            pieces = [piece for piece in pieces if not names_whatever(piece)]
        leftover = [reading for piece in pieces if (reading := self._read_piece(piece))]
        if not self.steps:
            self._fall_back(text, leftover)

    # --- pieces of a message ------------------------------------------------------------------------------

    def _read_piece(self, piece: str) -> Reading | None:
        """Add the step that a piece asks for; return its reading if it asks for nothing."""
        reading = classify(piece, points=self._points_at(piece))
        if reading.kind is Kind.REQUEST:
            if not (self.steps and self.steps[0].task is Task.GROUNDING and not self._is_specific(reading)):
                self._add_reading(reading)
            return None
        phrase, continues = ellipsis.without_lead(piece)
        if reading.kind is Kind.FRAGMENT and continues and self.steps:
            last = self.steps[-1]
            self._add(
                ellipsis.repeat(PastStep(last.task, last.argument), phrase, self._mentions),
                "it asks the same about something else",
            )
            return None
        self._said = mentions_in(reading.argument) + self._said
        return reading

    def _is_specific(self, reading: Reading) -> bool:
        """Return whether a request beside a grounded description asks for something of its own."""
        return reading.task in (*_PLACES, Task.VQA) and not _PRONOUN.fullmatch(reading.argument)

    def _fall_back(self, text: str, leftover: list[Reading]) -> None:
        """Plan a message without a request: a bare phrase is looked for, the rest is conversation."""
        if speaks_of_a_caption(text):
            self._add(Step(Task.CAPTION), "it speaks of a caption for the picture")
            return
        phrase = next((reading for reading in leftover if reading.kind is Kind.FRAGMENT), None)
        remark = any(talk.is_small_talk(reading.argument) for reading in leftover)
        if phrase is None or (len(leftover) > 1 and not remark):
            self._add(Step(None, text, self._region), "it asks for nothing in the picture")
            return
        self._said = []
        self._add_reading(phrase)

    def _add_reading(self, reading: Reading) -> None:
        pointing_now = self._region is not None and not self._said
        argument = resolve(reading.argument, self._mentions, pointing=pointing_now)
        task = reading.task
        if task in _PLACES:
            task, argument = self._place(task, reading.argument, argument)
        if reading.general and argument != reading.argument and self._speaks_of_picture:
            task = Task.VQA
        if task is Task.VQA and self._keeps_chatting(reading.argument):
            task = None
        regions = self._typed if reading.about_region and self._typed else [self._region_for(reading)]
        for region in regions:
            source = self._source(argument) if task is Task.VQA and region is None else None
            where = f", looked at where step {source + 1} finds it" if source is not None else ""
            self._add(Step(task, argument, region, source), reading.why + where)

    def _source(self, question: str) -> int | None:
        """Return the step of this message that finds what a question is about, if it is about that alone."""
        for mention in self._said:
            about, found, rest = question.lower().partition(mention.phrase.lower())
            if mention.step is not None and found:
                return None if pointing.speaks_of_surroundings(f"{about} {rest}") else mention.step
        return None

    @property
    def _speaks_of_picture(self) -> bool:
        """Return whether what was said last was about the picture, so that "it" stands in the picture."""
        latest = self.steps[-1] if self.steps else self._earlier
        return latest is not None and latest.task is not None

    def _place(self, task: Task, said: str, meant: str) -> tuple[Task, str]:
        """Return the task and phrase of something to find, once it is known what was meant."""
        last_word = meant.split()[-1].lower() if meant else ""
        noun = next((mention.noun for mention in self._mentions if mention.noun), "")
        if (picks_one(last_word) or _PART_OF.match(meant)) and _is_a_choice(meant):
            meant = complete(meant, noun, many=False)
        if meant == said:
            return task, meant
        target = target_of(meant)
        return (Task.DETECTION if task is Task.DETECTION else target.task), target.phrase

    def _keeps_chatting(self, question: str) -> bool:
        """Return whether a question goes on with talk that was not about the picture: "what do they eat?"."""
        chatting = self._earlier is not None and self._earlier.task is None and not self._said
        return chatting and not talk.speaks_of_picture(_PRONOUN.sub("pandas", question))

    # --- ellipsis and correction --------------------------------------------------------------------------

    def _continue(self, earlier: PastStep, text: str) -> str | None:
        """Read a message that leans on the earlier step; return what is left to read, None if nothing is."""
        rest = ellipsis.correction(text)
        if rest == "":
            return self._try_another(earlier, text)
        text = rest or text
        if len(split(text)) > 1:
            return text
        phrase, led = ellipsis.without_lead(text)
        plain = trim(phrase).rstrip(" ?!.,")
        plain = resolve_ones(plain, mentions_of_step(earlier)) if _THOSE.match(plain) else plain
        question = ellipsis.question_about(plain, self._mentions)
        if question and earlier.task is not None:
            self._add(Step(Task.VQA, question), "it asks something more about what was just spoken of")
            return None
        if earlier.task in (Task.CAPTION, Task.GROUNDING) and self._describe_again(plain):
            return None
        if self._repeat_for_region(earlier, plain):
            return None
        if not self._leans(plain, led or rest is not None, earlier):
            return text if rest is None and not led else phrase
        self._add(ellipsis.repeat(earlier, plain, self._mentions), "it asks the same about something else")
        return None

    def _try_another(self, earlier: PastStep, text: str) -> str | None:
        if ellipsis.repeats(text):
            self._add(Step(earlier.task, earlier.argument, earlier.region), "it asks for the same once more")
        elif ellipsis.rejects(text) and earlier.task in _PLACES:
            other = ellipsis.repeat(earlier, "the other", self._mentions)
            self._add(other, "what was found was not what was meant")
        else:
            return text
        return None

    def _describe_again(self, plain: str) -> bool:
        if wants_more_detail(plain):
            self._add(Step(Task.GROUNDING), "it asks for the description in more detail")
        elif asks_for_shorter(plain):
            self._add(Step(Task.CAPTION), "it asks for the description in short")
        else:
            return False
        return True

    def _repeat_for_region(self, earlier: PastStep, plain: str) -> bool:
        """Ask the earlier question about the region just drawn: "and this one?"."""
        if self._region is None or earlier.task is not Task.VQA or not pointing.is_bare(plain):
            return False
        about = earlier.argument
        if not pointing.points_at_something(about):
            about = ellipsis.substitute(about, "this")
        self._add(Step(Task.VQA, about, self._region), "it asks the same about this region")
        return True

    def _leans(self, plain: str, led: bool, earlier: PastStep) -> bool:
        """Return whether a message is a mere phrase that repeats the earlier request."""
        if self._points_at(plain) and pointing.asks_what_it_is(plain):
            return False
        if earlier.task in (None, Task.CAPTION, Task.GROUNDING, Task.IDENTIFY):
            return led and earlier.task is None and is_phrase(plain)
        reading = classify(plain, points=False)
        return reading.kind is Kind.FRAGMENT and (led or reading.task in _PLACES)

    # --- regions ------------------------------------------------------------------------------------------

    def _points_at(self, text: str) -> bool:
        """Return whether "this" has a region: one just drawn or typed, or the one thing just found."""
        return self._region is not None or (
            self._found is not None and not self.steps and not self._said and not _NO_THING.search(text)
        )

    def _region_for(self, reading: Reading) -> Box | None:
        if reading.about_region:
            return self._region or self._found
        points = pointing.points_at_something(reading.argument)
        if self._region is None:
            asks_here = reading.task is Task.VQA and pointing.points_here(reading.argument)
            return self._found if asks_here else None
        asks = reading.task is Task.VQA and not pointing.speaks_of_the_whole(reading.argument)
        return self._region if self._typed or points or asks else None

    def _add(self, step: Step, why: str) -> None:
        if any(step == other for other in self.steps):
            return  # "find the dog and circle it" is one request
        self.steps.append(step)
        self._reasons.append(f"[{step.name}], because {why}" if step.task else f"chat, because {why}")
        number = len(self.steps) - 1 if step.task is Task.REFER else None
        said = mentions_of_step(PastStep(step.task, step.argument))
        self._said = [replace(mention, step=number) for mention in said] + self._said


def _is_a_choice(phrase: str) -> bool:
    """Return whether a phrase picks one of something that it does not name: `the second from the left`."""
    found = phrase.lower().split()
    if found[0] == "the":
        return len(found) > 1 and picks_one(found[1])
    return picks_one(found[0])


def _last_step(context: PlanContext) -> PastStep | None:
    """Return the step that a short message would repeat: the last one, thanks and greetings aside."""
    for turn in reversed(context.turns):
        steps = [step for step in turn.steps if step.task is not None]
        if steps:
            return steps[-1]
        if turn.steps and not talk.is_small_talk(turn.user):
            return turn.steps[-1]
    return None


def _single_box(step: PastStep | None) -> Box | None:
    if step is None:
        return None
    if step.task is Task.IDENTIFY:
        return step.region or (step.boxes[0] if len(step.boxes) == 1 else None)
    return step.boxes[0] if len(step.boxes) == 1 else None
