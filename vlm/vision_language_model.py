"""The façade that tools call: one method a task, typed in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from .answers import (
    Answer,
    Caption,
    Completion,
    Detections,
    Expression,
    Generation,
    Referral,
    Reply,
    Request,
    Written,
)
from .grounding import Box, GroundedPhrase, GroundedText
from .presets import DEFAULT_MODEL
from .regions import answered, looked_at
from .tasks import Task, Turn

if TYPE_CHECKING:
    from .engine.base import Engine, GenerationListener


class VisionLanguageModel:
    """Asks one model about pictures; safe to share between threads.

    A `region` is the part of the picture that a question is about: it is looked at alone, and boxes are of
    the whole picture. `identify` alone sees the picture as a whole, with the region named.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def load(cls, model: str = DEFAULT_MODEL) -> VisionLanguageModel:
        """Load a model by name or folder, fetching its base weights if they are missing, or by an address.

        `http://host:8000/v1#name` is a model behind an OpenAI-compatible server (`docs/remote-models.md`).

        Raises:
            WeightsError: there is no such model, or its weights cannot be had.
            AssistantError: an address cannot be used.
        """
        from .engine.loading import load_engine

        return cls(load_engine(model))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan (see `planning.py`)."""
        return self.engine.plans

    def caption(self, image: Image.Image, region: Box | None = None) -> Caption:
        """Say in a sentence what the picture shows."""
        return Caption(self._ask(Request(Task.CAPTION, region=region, image=image)).grounded.text)

    def vqa(self, image: Image.Image, question: str, region: Box | None = None) -> Answer:
        """Answer a question in a word or a short phrase."""
        return Answer(self._ask(Request(Task.VQA, question, region, image)).grounded.text)

    def refer(self, image: Image.Image, expression: str, region: Box | None = None) -> Referral:
        """Locate the one thing that an expression means (referring expression comprehension)."""
        boxes = self._ask(Request(Task.REFER, expression, region, image)).grounded.boxes
        box = boxes[0] if boxes else None
        return Referral(expression, box, box.score if box else 0.0)

    def detect(self, image: Image.Image, phrase_or_sentence: str, region: Box | None = None) -> Detections:
        """Find every box of a phrase, or of each phrase of a sentence (parse and ground)."""
        grounded = self._ask(Request(Task.DETECTION, phrase_or_sentence, region, image)).grounded
        return Detections(tuple(map(_without_copies, grounded.phrases)))

    def ground(
        self, image: Image.Image, instruction: str | None = None, region: Box | None = None
    ) -> GroundedText:
        """Describe the picture and locate what is named (grounded captioning)."""
        return self._ask(Request(Task.GROUNDING, instruction or "", region, image)).grounded

    def identify(self, image: Image.Image, region: Box) -> Expression:
        """Name what is in a region (referring expression generation)."""
        return Expression(self._ask(Request(Task.IDENTIFY, region=region, image=image)).grounded.text, region)

    def chat(self, image: Image.Image | None, turns: Sequence[Turn]) -> Reply:
        """Reply freely to the last of `turns`, the one without an answer."""
        *history, last = turns
        return Reply(self._ask(Request(None, last.user, image=image, history=tuple(history))).grounded.text)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer to one request piece by piece; boxes in it are of its region alone."""
        return self.engine.stream(looked_at(request))

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer a batch of requests of any mix of tasks, which a listener may follow and stop."""
        answers = self.engine.generate([looked_at(request) for request in requests], listener)
        return [answered(*pair) for pair in zip(requests, answers, strict=True)]

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Go on with texts without a picture."""
        return self.engine.complete(completions)

    def _ask(self, request: Request) -> Generation:
        return self.generate([request])[0]


def _without_copies(phrase: GroundedPhrase) -> GroundedPhrase:
    """Drop boxes that a small model repeats to the letter."""
    return GroundedPhrase(phrase.text, tuple(dict.fromkeys(phrase.boxes)), phrase.start)


__all__ = ["VisionLanguageModel"]
