"""The results of a step and of a turn."""

from __future__ import annotations

from dataclasses import dataclass

from ..storage.forms import Verification, verifications_of
from ..vlm.grounding import GroundedPhrase
from .plan import Plan, Step


@dataclass(frozen=True)
class StepResult:
    """A step as run, its answer sentence, and the model's raw output.

    `error` is the reason of a failure, or None; `stopped` means that the person stopped it before the model
    finished.
    A box that the model checked is a `CheckedBox`; a withdrawn box is only in `raw`.
    """

    step: Step
    text: str
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    stopped: bool = False

    @property
    def verifications(self) -> tuple[Verification | None, ...]:
        """The check of each box, None for a box that was not checked; empty if none was."""
        return verifications_of(self.phrases)


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
