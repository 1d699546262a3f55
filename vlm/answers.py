"""Requests to the model and its typed answers: plain values, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from .calibration import BoxEvidence
from .grounding import Box, GroundedPhrase, GroundedText
from .tasks import Task, Turn, instruction

# The longest answer by task, in tokens; a box takes up to 19.
_MAX_NEW_TOKENS: dict[Task | None, int] = {
    Task.CAPTION: 48,
    Task.VQA: 32,
    Task.REFER: 24,
    Task.DETECTION: 240,
    Task.GROUNDING: 160,
    Task.IDENTIFY: 24,
    None: 96,
}


@dataclass(frozen=True)
class Request:
    """One thing to ask: task (None: free conversation), argument, region, picture, earlier turns."""

    task: Task | None
    argument: str = ""
    region: Box | None = None
    image: Image.Image | None = None
    history: tuple[Turn, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation that the model reads, the open question last."""
        return (*self.history, Turn(instruction(self.task, self.argument, self.region)))

    @property
    def max_new_tokens(self) -> int:
        """The most tokens that the answer may have."""
        return _MAX_NEW_TOKENS[self.task]


@dataclass(frozen=True)
class Generation:
    """What the model wrote (`grounded.raw`), read; boxes carry scores where the engine gives probabilities.

    `complete` is False for an answer that was cut at its longest, or stopped by whoever asked; `seconds` is
    the time from asking to its end. `evidence` says of each box, in the order written, what its probability
    can be judged by; it is empty where the engine knows none.
    """

    grounded: GroundedText
    seconds: float
    complete: bool = True
    evidence: tuple[BoxEvidence, ...] = ()

    @property
    def raw(self) -> str:
        """The model's words, markup included."""
        return self.grounded.raw


Choices = Callable[[str], Sequence[str] | None]
"""Given what is written so far: what may come next, `""` for the end; None where that is anything."""


@dataclass(frozen=True)
class Completion:
    """A text to be gone on with, as it stands, without a picture.

    `choices` constrains what is written. `copied` is a text of which much will be written again: several
    tokens of it are tried at a time, which changes nothing but the speed.
    """

    prompt: str
    choices: Choices | None = None
    copied: str = ""
    max_new_tokens: int = 128


@dataclass(frozen=True)
class Written:
    """How a text was gone on with: the text, its tokens and the probability of each.

    Where there were choices, it is the probability among them.
    """

    text: str
    pieces: tuple[str, ...]
    probabilities: tuple[float, ...]
    complete: bool = True


@dataclass(frozen=True)
class Caption:
    """A sentence about the picture."""

    text: str


@dataclass(frozen=True)
class Answer:
    """A word or a short phrase that answers a question."""

    text: str


@dataclass(frozen=True)
class Referral:
    """The one box that an expression means, or None where the model gave none.

    `confidence` is the box's score, 0..1, and 0 without a box; None where the engine gives none.
    """

    expression: str
    box: Box | None
    confidence: float | None


@dataclass(frozen=True)
class Detections:
    """Every box found for each phrase."""

    phrases: tuple[GroundedPhrase, ...]


@dataclass(frozen=True)
class Expression:
    """The words that single a region out."""

    text: str
    region: Box


@dataclass(frozen=True)
class Reply:
    """A turn of free conversation."""

    text: str


__all__ = ["Answer", "Caption", "Choices", "Completion", "Detections", "Expression", "Generation", "Referral"]
__all__ += ["Reply", "Request", "Written"]
