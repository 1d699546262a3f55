"""The results of a step and of a turn."""

from __future__ import annotations

from dataclasses import dataclass

from ..storage import Verification
from ..vlm.grounding import GroundedPhrase
from .plan import Plan, Step


@dataclass(frozen=True)
class StepResult:
    """A step as run, its answer sentence, and the model's raw output.

    `error` is the reason of a failure, or None; `stopped` means that the person stopped it before the model
    finished.
    `verifications` is empty, or has one per box in the order of the phrases; a withdrawn box is in neither
    `phrases` nor `verifications`, only in `raw`.
    """

    step: Step
    text: str
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    stopped: bool = False
    verifications: tuple[Verification | None, ...] = ()


@dataclass(frozen=True)
class TurnResult:
    """The answer to one message; `seconds` is wall time.

    `stopped` means that the person stopped the turn: the last of `steps` may be partial, and later steps of
    the plan did not run.
    """

    plan: Plan
    steps: tuple[StepResult, ...]
    answer: str
    seconds: float
    stopped: bool = False

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """All grounded phrases, in the order of the steps."""
        return tuple(phrase for step in self.steps for phrase in step.phrases)


__all__ = ["StepResult", "TurnResult"]
