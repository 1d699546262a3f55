"""The planner: turn a message and its context into the steps that answer it.

The language model writes the plan (`vlm/planning.py`). Rules handle the clear cases: a typed identifier, a
region without a message, an empty message, a question about several images. The same message in the same
context always gets the same plan.
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

# Below this confidence the assistant asks the person to clarify: most such plans of held-out messages were
# wrong.
SURE = 0.4
# A question about several images, unless they are things in the image ("pictures on the wall").
_SEVERAL = re.compile(
    r"\b(?:(?:compare|between|both|common|difference)\b.{0,30}\b(?:pictures|images|photos)"
    r"|(?:previous|earlier|last|other) (?:picture|image|photo))\b(?! (?:on|in|hanging|frame)\b)",
    re.IGNORECASE,
)
# The placeholder of a typed box: a question says "this" instead, other tasks drop it.
_THIS, _PLACE = re.compile(r"\bT[1-9]\b"), re.compile(r"\s*(?:\b(?:in|at) )?\bT[1-9]\b")


class Planner:
    """Chooses the steps for each message of a conversation; stateless.

    `writer` is the model that writes the plan; the default is the default model's language model, loaded on
    the first message. With `talks`, the model answers requests that fit no task; otherwise the assistant
    declines them.

    >>> plan = Planner().plan("[vqa] what colour is the dog?")
    >>> plan.steps[0].argument, plan.why
    ('what colour is the dog?', '[vqa], because you typed it')
    """

    def __init__(self, writer: PlanWriter | None = None, *, talks: bool = False) -> None:
        self._writer = writer
        self._talks = talks

    @classmethod
    def for_model(cls, model: VisionLanguageModel) -> Planner:
        """Return a planner that uses the model itself, if it was trained to plan."""
        return cls(model) if model.plans else cls(talks=True)

    def plan(self, message: str, context: PlanContext = PlanContext()) -> Plan:  # noqa: B008 (frozen)
        """Return at least one step for any `message`.

        Raises:
            AssistantError: a box typed in the message is invalid or outside of the image.
            WeightsError: the planning model cannot be loaded.
        """
        if not any(map(str.isalnum, message)):
            return _wordless(message, context)
        check_typed_regions(message, context.size)
        task, rest = typed_identifier(message)
        if task is not None:
            return Plan(self._explicit(task, rest, context), f"[{task}], because you typed it")
        prompt = plan_prompt(message, context)
        written = self._write(prompt, message)
        confidence = plan_confidence(written)
        if confidence < SURE:
            step = Step(None, message, reply=UNCLEAR)
            return Plan(
                (step,), f"asked to clarify, because no task is likely (best probability {confidence:.2f})"
            )
        read = prompt.read(written.text, message)
        alone = message if len(read) == 1 else ""
        steps = _link_traits([self._supported(step, alone) for step in read])
        names = ", ".join(f"[{step.name}]" if step.task else step.name for step in steps)
        return Plan(steps, f"{names}, based on your message (probability {confidence:.2f})")

    def _explicit(self, task: Task, text: str, context: PlanContext) -> tuple[Step, ...]:
        """Return the steps of an explicit task; the text around the identifier is its argument.

        The model resolves references to earlier turns. Without earlier turns it may only drop filler around
        the object: "give me the place of the dog".
        """
        steps = _verbatim(task, text, context)
        reads = bool(context.turns) or task in (Task.REFER, Task.DETECTION)
        if task not in WORDS or not reads or not steps[0].argument:
            return steps
        if steps[0].region or task is Task.GROUNDING:
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

    def _supported(self, step: Step, message: str) -> Step:
        """Return the step, or a fixed reply if the image cannot answer it."""
        looks = step.task in (Task.VQA, Task.CAPTION, Task.GROUNDING)
        if (looks or step.reply == CANNOT) and _SEVERAL.search(f"{step.argument}\n{message}"):
            return Step(None, step.argument or message, reply=SEVERAL)
        return replace(step, reply="") if step.reply == CANNOT and self._talks else step


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _wordless(message: str, context: PlanContext) -> Plan:
    if context.region is None:
        step = Step(None, message.strip(), reply=UNCLEAR)
        return Plan((step,), "asked to clarify, because the message is empty")
    step = Step(Task.IDENTIFY, "", context.region)
    return Plan((step,), "[identify], because you drew a region and wrote nothing")


def _link_traits(steps: list[Step]) -> tuple[Step, ...]:
    """Ask about a trait within the box of an earlier step: "find the dog. what colour is it?"."""
    for place, step in enumerate(steps):
        for earlier, found in enumerate(steps[:place]):
            trait = rf"(?:what|which) \w+ is {re.escape(found.argument)}\?"
            if found.task is Task.REFER and step.region is None and re.fullmatch(trait, step.argument):
                steps[place] = replace(step, region_from=earlier)
    return tuple(steps)


def _verbatim(task: Task, text: str, context: PlanContext) -> tuple[Step, ...]:
    words, typed = typed_regions(text, context.size)
    regions = typed or ([context.region] if context.region else [])
    cleaned = _THIS.sub("this", words) if task is Task.VQA else _PLACE.sub(" ", words)
    argument = " ".join(cleaned.split())
    if task is Task.IDENTIFY:
        regions = regions or list(plan_prompt(text, context).symbols.values())[:1]
        return tuple(Step(task, "", region, typed=argument) for region in regions) or (Step(task),)
    if task is Task.CAPTION:
        return (Step(task, typed=argument),)
    return (Step(task, argument, regions[0] if regions else None, typed=argument),)
