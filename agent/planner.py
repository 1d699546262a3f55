"""The planner: from a message and what came before it to the steps that answer it.

A message is put in one spelling and split into requests; each is read for its task and argument; what points
back ("it", "the other one", "and the dog?") is given its meaning. Nothing is random: the same message in the
same context always has the same plan.
"""

from __future__ import annotations

from dataclasses import replace

from ..vlm.tasks import Task
from . import languages
from .conversation import Conversation
from .identifiers import typed_identifier
from .plan import Plan, PlanContext, Step
from .pointing import typed_regions
from .text import correct, mask_quotes, normalise, unmask_quotes

# A message longer than this is a document rather than a request: its beginning decides.
LONGEST = 1200


class Planner:
    """Chooses the steps for each message of a conversation; holds no state of its own."""

    def plan(self, message: str, context: PlanContext = PlanContext()) -> Plan:  # noqa: B008 (frozen)
        """Return the steps that answer `message`, at least one; never raises, whatever the text."""
        text = normalise(message)
        if not any(map(str.isalnum, text)):
            return _wordless(text, context)
        if len(text) > LONGEST:
            return _of_a_document(text, context)
        return _of_a_message(text, context)


def _wordless(text: str, context: PlanContext) -> Plan:
    if context.region is None:
        return Plan((Step(None, text),), "chat, because there is nothing to ask for")
    step = Step(Task.IDENTIFY, "", context.region)
    return Plan((step,), "[identify], because a region was drawn and nothing said")


def _of_a_document(text: str, context: PlanContext) -> Plan:
    plan = _of_a_message(text[:LONGEST], context)
    step = plan.steps[0]
    if step.task in (None, Task.VQA):
        step = replace(step, argument=text)
    return Plan((step,), plan.why)


def _of_a_message(text: str, context: PlanContext) -> Plan:
    task, rest = typed_identifier(text)
    masked, quotes = mask_quotes(rest)
    foreign = languages.read(masked, context.region is not None) if task is None else None
    if foreign is None:
        masked = correct(masked)
    boxes, masked = typed_regions(masked)
    conversation = Conversation(context, boxes)
    if task is not None:
        conversation.obey(task, masked)
    elif foreign is not None:
        conversation.take(foreign)
    else:
        conversation.read(masked)
    steps = tuple(
        replace(step, argument=unmask_quotes(step.argument, quotes).strip()) for step in conversation.steps
    )
    return Plan(steps, conversation.why)
