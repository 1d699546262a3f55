"""Requests to the model and its typed answers: plain values, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from .calibration import BoxEvidence
from .grounding import Box, GroundedPhrase, GroundedText
from .prompt_form import OURS, PromptForm
from .tasks import Task, Turn


@dataclass(frozen=True)
class Request:
    """One thing to ask: task (None: free conversation), argument, region, picture, earlier turns.

    `region` is the part of the picture that is asked about: a `VisionLanguageModel` has it looked at alone,
    and gives boxes of the whole picture. Only to `[identify]` is it named, in the picture as a whole.
    `typed` is what a person wrote behind an identifier, or a data set's question as it is published: a model
    whose prompt form says so is asked in these words alone.
    """

    task: Task | None
    argument: str = ""
    region: Box | None = None
    image: Image.Image | None = None
    history: tuple[Turn, ...] = ()
    typed: str = ""

    def turns_in(self, form: PromptForm) -> tuple[Turn, ...]:
        """Return the conversation that a model of this form reads, the open question last.

        Raises:
            ValueError: the task lacks what it cannot do without, or the region is still to be cut out.
        """
        if self.region is not None and self.task is not Task.IDENTIFY:
            raise ValueError("a region is looked at alone: ask a `VisionLanguageModel`, which cuts it out")
        return (*self.history, Turn(form.words(self.task, self.argument, self.region, self.typed)))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation in our own form."""
        return self.turns_in(OURS)

    @property
    def max_new_tokens(self) -> int:
        """The most tokens that the answer may have in our own form."""
        return OURS.longest(self.task)


@dataclass(frozen=True)
class Generation:
    """What the model wrote (`grounded.raw`), read; boxes carry scores where the engine gives probabilities.

    `complete` is False for an answer that was cut at its longest, or stopped by whoever asked; `seconds` is
    the time from asking to its end. `evidence` holds, for each box in the order written, what a
    calibration judges it by; it is empty where the engine gives none.
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
"""From what is written so far to what may come next: `""` stands for the end, None for anything."""


@dataclass(frozen=True)
class Completion:
    """A text for the model to continue as it stands, without a picture.

    `choices` constrains what is written. `copied` is a text that the answer will probably repeat in part:
    several of its tokens are tried at a time, which changes nothing but the speed.
    """

    prompt: str
    choices: Choices | None = None
    copied: str = ""
    max_new_tokens: int = 128


@dataclass(frozen=True)
class Written:
    """How the model continued a text: what it wrote, token by token, with the probability of each.

    Where `choices` constrained a token, its probability is that among the choices.
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
