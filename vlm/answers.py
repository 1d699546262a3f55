"""Requests to the model and its typed answers: plain values, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from .calibration import BoxEvidence
from .display import RichRepr, ShowsBoxes
from .generation_options import DEFAULT_OPTIONS, GenerationOptions
from .grounding import Box, GroundedPhrase, GroundedText
from .prompt_form import OURS, PromptForm
from .tasks import Task, Turn


@dataclass(frozen=True)
class Request:
    """One request: task (None: free conversation), argument, region, image, earlier turns.

    `region` is the part of the image that the request is about: a `VisionLanguageModel` crops to it and maps
    boxes back to the full image. Only `[identify]` sees the full image, with the region in its prompt.
    `typed` is the text that a user typed after an identifier, or a dataset's published question: some prompt
    forms use exactly this text. `options` control how the answer is generated; `adapter` names one
    of the model's adapters, by default its own.
    """

    task: Task | None
    argument: str = ""
    region: Box | None = None
    image: Image.Image | None = None
    history: tuple[Turn, ...] = ()
    typed: str = ""
    options: GenerationOptions = DEFAULT_OPTIONS
    adapter: str = ""

    def turns_in(self, form: PromptForm) -> tuple[Turn, ...]:
        """Return the turns that a model of this form reads, the open question last.

        Raises:
            ValueError: the task's argument or region is missing, or the image is still to be cropped.
        """
        if self.region is not None and self.task is not Task.IDENTIFY:
            raise ValueError("engines take no region: ask a `VisionLanguageModel`, which crops to it")
        return (*self.history, Turn(form.words(self.task, self.argument, self.region, self.typed)))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns in our own prompt form."""
        return self.turns_in(OURS)

    @property
    def max_new_tokens(self) -> int:
        """The maximum number of answer tokens in our own prompt form."""
        return OURS.longest(self.task)


@dataclass(frozen=True)
class Generation:
    """The model's answer, parsed; boxes have scores if the engine gives probabilities.

    `complete` is False if the answer was cut at the token limit or stopped by its caller; `seconds` is
    the time from the request to its end. `evidence` holds the input of the calibration for each box, in the
    order written; it is empty if the engine gives none.
    """

    grounded: GroundedText
    seconds: float
    complete: bool = True
    evidence: tuple[BoxEvidence, ...] = ()

    @property
    def raw(self) -> str:
        """The model's text, markup included."""
        return self.grounded.raw


Choices = Callable[[str], Sequence[str] | None]
"""Maps the text so far to the texts that may come next: `""` is the end, None allows anything."""


@dataclass(frozen=True)
class Completion:
    """A text for the model to continue as it is, without an image.

    `choices` constrains the continuation. `copied` is a text that the answer will probably repeat in part:
    several of its tokens are tried at a time, which changes only the speed.
    """

    prompt: str
    choices: Choices | None = None
    copied: str = ""
    max_new_tokens: int = 128


@dataclass(frozen=True)
class Continuation:
    """A text's continuation: its tokens, with the probability of each.

    The probability of a constrained token is relative to its `choices`.
    """

    text: str
    pieces: tuple[str, ...]
    probabilities: tuple[float, ...]
    complete: bool = True


@dataclass(frozen=True)
class Caption:
    """A sentence about the image."""

    text: str


@dataclass(frozen=True)
class Answer:
    """A word or short phrase that answers a question."""

    text: str


@dataclass(frozen=True)
class ReferringResult(ShowsBoxes):
    """The referent's box, or None if the model gave none.

    `confidence` is the box's score, 0..1, and 0 without a box; None if the engine gives no scores.

    >>> cat = ReferringResult("the cat", Box(10, 20, 50, 100, score=0.83), 0.83, Image.new("RGB", (200, 100)))
    >>> cat.box.to_pixels(200, 100)
    (20.0, 20.0, 100.0, 100.0)
    >>> cat.to_pandas().to_dict("records")
    [{'phrase': 'the cat', 'x0': 20.0, 'y0': 20.0, 'x1': 100.0, 'y1': 100.0, 'score': 0.83}]
    """

    expression: str
    box: Box | None
    confidence: float | None
    image: Image.Image | None = field(default=None, compare=False, repr=False)

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The expression with its box; empty without a box."""
        return (GroundedPhrase(self.expression, (self.box,)),) if self.box else ()

    def __rich_repr__(self) -> RichRepr:
        yield self.expression
        yield self.box
        yield "confidence", self.confidence, None


@dataclass(frozen=True)
class Detections(ShowsBoxes):
    """Every box found for each phrase.

    >>> image = Image.new("RGB", (200, 100))
    >>> found = Detections((GroundedPhrase("dogs", (Box(0, 0, 10, 10), Box(50, 0, 60, 10))),), image)
    >>> found.to_supervision().xyxy.tolist()
    [[0.0, 0.0, 20.0, 10.0], [100.0, 0.0, 120.0, 10.0]]
    """

    phrases: tuple[GroundedPhrase, ...]
    image: Image.Image | None = field(default=None, compare=False, repr=False)

    def __rich_repr__(self) -> RichRepr:
        yield from self.phrases


@dataclass(frozen=True)
class GroundedCaption(ShowsBoxes, GroundedText):
    """A description of the image with a box for each thing named.

    >>> dog = GroundedPhrase("a dog", (Box(0, 0, 50, 50),))
    >>> GroundedCaption("a dog runs", (dog,)).boxes
    (Box(x0=0, y0=0, x1=50, y1=50, score=None),)
    """

    image: Image.Image | None = field(default=None, compare=False, repr=False)

    def __rich_repr__(self) -> RichRepr:
        yield self.text
        yield from self.phrases


@dataclass(frozen=True)
class Expression(ShowsBoxes):
    """A referring expression for a region."""

    text: str
    region: Box
    image: Image.Image | None = field(default=None, compare=False, repr=False)

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The expression with its region."""
        return (GroundedPhrase(self.text, (self.region,)),)

    def __rich_repr__(self) -> RichRepr:
        yield self.text
        yield self.region


@dataclass(frozen=True)
class Reply:
    """A turn of free conversation."""

    text: str
