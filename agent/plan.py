"""What the planner is told and what it answers: plain frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..vlm.grounding import Box
from ..vlm.tasks import Task

CHAT = "chat"


@dataclass(frozen=True)
class Step:
    """One thing to ask the model; task None is free conversation, region the part that it is about.

    `region_from` is the index of an earlier step of the same plan whose box is that part: "find the dog and
    tell me what colour it is". Where that step finds none that it is sure of, the whole picture is looked at.
    """

    task: Task | None
    argument: str = ""
    region: Box | None = None
    region_from: int | None = None

    @property
    def name(self) -> str:
        """The task's name, `chat` for free conversation."""
        return self.task.value if self.task else CHAT


@dataclass(frozen=True)
class Plan:
    """The steps that answer one message, in order, and a sentence for a person that explains the choice."""

    steps: tuple[Step, ...]
    why: str


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier turn, with the boxes that it found."""

    task: Task | None
    argument: str = ""
    boxes: tuple[Box, ...] = ()
    region: Box | None = None


@dataclass(frozen=True)
class PastTurn:
    """An earlier turn: what the person wrote, what was asked of the model, and the answer."""

    user: str
    steps: tuple[PastStep, ...] = ()
    answer: str = ""


@dataclass(frozen=True)
class PlanContext:
    """What the planner knows besides the message: earlier turns, oldest first, and the region just drawn."""

    turns: tuple[PastTurn, ...] = ()
    region: Box | None = None


@runtime_checkable
class MessagePlanner(Protocol):
    """Chooses the steps that answer a message."""

    def plan(self, message: str, context: PlanContext) -> Plan:
        """Return the steps that answer `message` in its context, at least one; never raises."""
        ...


__all__ = ["CHAT", "MessagePlanner", "PastStep", "PastTurn", "Plan", "PlanContext", "Step"]
