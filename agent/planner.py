"""The planner: from a message and what came before it to the steps that answer it.

The language model writes the plan (`vlm/planning.py`). What is plain without it is not left to it: a typed
identifier, a region with nothing said, an empty message, a question about several pictures. The same message
in the same context always has the same plan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..vlm.answers import Choices, Completion, Continuation
from ..vlm.planning import MOST_TOKENS, WORDS, PlanPrompt, PlanWriter, plan_confidence, plan_prompt
from ..vlm.tasks import Task
from ..vlm.typed_regions import check_typed_regions, typed_regions
from ..vlm.vision_language_model import VisionLanguageModel
from .identifiers import typed_identifier
from .plan import Plan, PlanContext, Step
from .replies import CANNOT, SEVERAL, UNCLEAR

# A plan less sure than this is not carried out: the person is asked what is wanted. Of the messages that were
# held out, most such plans were wrong.
SURE = 0.4
# A question over several pictures, unless they hang in the picture that is looked at.
_SEVERAL = re.compile(
    r"\b(?:(?:compare|between|both|common|difference)\b.{0,30}\b(?:pictures|images|photos)"
    r"|(?:previous|earlier|last|other) (?:picture|image|photo))\b(?! (?:on|in|hanging|frame)\b)",
    re.IGNORECASE,
)
# The place of a typed box: in a question it is "this", elsewhere it is left out.
_THIS, _PLACE = re.compile(r"\bT[1-9]\b"), re.compile(r"\s*(?:\b(?:in|at) )?\bT[1-9]\b")


class Planner:
    """Chooses the steps for each message of a conversation; holds no state of its own.

    `writer` is the model that writes the plan, by default the default model's language model alone, which is
    loaded for the first message. With `talks`, what no task serves is left to the model that is asked, else
    the assistant says that it cannot.
    """

    def __init__(self, writer: PlanWriter | None = None, *, talks: bool = False) -> None:
        self._writer = writer
        self._talks = talks

    @classmethod
    def for_model(cls, model: VisionLanguageModel) -> Planner:
        """Return a planner that writes with the model itself, if it has learnt to plan."""
        return cls(model) if model.plans else cls(talks=True)

    def plan(self, message: str, context: PlanContext = PlanContext()) -> Plan:  # noqa: B008 (frozen)
        """Return the steps that answer `message`, at least one, whatever the text.

        Raises:
            AssistantError: a box that is typed in the message is none of the picture's.
            WeightsError: the model that plans cannot be had.
        """
        if not any(map(str.isalnum, message)):
            return _wordless(message, context)
        check_typed_regions(message, context.size)
        task, rest = typed_identifier(message)
        if task is not None:
            return Plan(self._obeyed(task, rest, context), f"[{task}], because you typed it")
        prompt = plan_prompt(message, context)
        written = self._write(prompt, message)
        confidence = plan_confidence(written)
        if confidence < SURE:
            step = Step(None, message, reply=UNCLEAR)
            return Plan(
                (step,), f"asked back, because no task is likely (the likeliest has {confidence:.2f})"
            )
        read = prompt.read(written.text, message)
        alone = message if len(read) == 1 else ""
        steps = _about_what_is_found([self._served(step, alone) for step in read])
        names = ", ".join(f"[{step.name}]" if step.task else step.name for step in steps)
        return Plan(steps, f"{names}, read from your words (probability {confidence:.2f})")

    def _obeyed(self, task: Task, text: str, context: PlanContext) -> tuple[Step, ...]:
        """Return the steps of a task that was chosen by hand: its argument is what stands beside it.

        Where there were earlier turns, the model says what of them is meant; where there were none, it may
        leave out what is not the thing itself: "give me the place of the dog".
        """
        steps = _verbatim(task, text, context)
        reads = bool(context.turns) or task in (Task.REFER, Task.DETECTION)
        if not reads or not steps[0].argument or steps[0].region or task is Task.GROUNDING:
            return steps
        prompt = plan_prompt(text, context)

        def choices(written: str) -> Sequence[str] | None:
            return prompt.choices(written) if written else [f" {WORDS[task]}"]

        read = prompt.read(self._write(prompt, text, choices).text, text)[0]
        if not context.turns and not _words(read.argument) <= {"the", *_words(text)}:
            return steps
        return (replace(read, typed=steps[0].typed),)

    def _write(self, prompt: PlanPrompt, message: str, choices: Choices | None = None) -> Continuation:
        if self._writer is None:
            from ..vlm.engine.language_model import default_language_model

            self._writer = default_language_model()
        copied = f" {message[:1].lower()}{message[1:]}"
        completion = Completion(prompt.text, choices or prompt.choices, copied, MOST_TOKENS)
        return self._writer.complete([completion])[0]

    def _served(self, step: Step, message: str) -> Step:
        """Return the step, or what is said in its place where no picture answers it."""
        looks = step.task in (Task.VQA, Task.CAPTION, Task.GROUNDING)
        if (looks or step.reply == CANNOT) and _SEVERAL.search(f"{step.argument}\n{message}"):
            return Step(None, step.argument or message, reply=SEVERAL)
        return replace(step, reply="") if step.reply == CANNOT and self._talks else step


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _wordless(message: str, context: PlanContext) -> Plan:
    if context.region is None:
        return Plan((Step(None, message.strip(), reply=UNCLEAR),), "asked back, because nothing was said")
    step = Step(Task.IDENTIFY, "", context.region)
    return Plan((step,), "[identify], because a region was drawn and nothing said")


def _about_what_is_found(steps: list[Step]) -> tuple[Step, ...]:
    """Have a trait of what an earlier step finds asked of its box: "find the dog. what colour is it?"."""
    for place, step in enumerate(steps):
        for earlier, found in enumerate(steps[:place]):
            trait = rf"(?:what|which) \w+ is {re.escape(found.argument)}\?"
            if found.task is Task.REFER and step.region is None and re.fullmatch(trait, step.argument):
                steps[place] = replace(step, region_from=earlier)
    return tuple(steps)


def _verbatim(task: Task, text: str, context: PlanContext) -> tuple[Step, ...]:
    words, typed = typed_regions(text, context.size)
    regions = typed or ([context.region] if context.region else [])
    said = _THIS.sub("this", words) if task is Task.VQA else _PLACE.sub(" ", words)
    argument = " ".join(said.split())
    if task is Task.IDENTIFY:
        regions = regions or list(plan_prompt(text, context).symbols.values())[:1]
        return tuple(Step(task, "", region, typed=argument) for region in regions) or (Step(task),)
    if task is Task.CAPTION:
        return (Step(task, typed=argument),)
    return (Step(task, argument, regions[0] if regions else None, typed=argument),)


__all__ = ["SURE", "Planner"]
