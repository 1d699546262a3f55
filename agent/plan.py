"""The planner's input and output: immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..vlm.planning import PastStep, PastTurn, PlanContext, Step


@dataclass(frozen=True)
class Plan:
    """The steps that answer one message, in order, and a sentence that explains the choice.

    >>> plan = Plan((Step(Task.REFER, "the dog"), Step(Task.VQA, "what colour is the dog?")), "as asked")
    >>> [step.name for step in plan.steps]
    ['refer', 'vqa']
    """

    steps: tuple[Step, ...]
    why: str


@runtime_checkable
class MessagePlanner(Protocol):
    """Chooses the steps that answer a message."""

    def plan(self, message: str, context: PlanContext) -> Plan:
        """Return at least one step for `message`."""
        ...


__all__ = ["MessagePlanner", "PastStep", "PastTurn", "Plan", "PlanContext", "Step"]
