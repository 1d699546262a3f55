"""The façade that tools call: one method a task, typed in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .answers import (
    Answer,
    Caption,
    Completion,
    Continuation,
    Detections,
    Expression,
    Generation,
    ReferringResult,
    Reply,
    Request,
)
from .grounding import Box, GroundedPhrase, GroundedText
from .pictures import Source, as_seen
from .presets import DEFAULT_MODEL
from .regions import crop_to_region, map_to_full_image
from .tasks import Task, Turn

if TYPE_CHECKING:
    from .engine.base import Engine, GenerationListener


class VisionLanguageModel:
    """Asks one model about pictures; safe to share between threads.

    A picture is a path, a file's bytes, an open file, a Pillow image, a numpy array or a `Picture`. It is
    looked at as `open_picture` opens it, upright and in RGB; one that cannot be opened raises `ImageError`.
    A `region` is the part of the picture that a question is about: it is looked at alone, and boxes are of
    the whole picture. `identify` alone sees the picture as a whole, with the region named.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        base: Path | None = None,
        *,
        zoom: bool = True,
        dtype: str | None = None,
    ) -> VisionLanguageModel:
        """Load a model by name or folder, fetching its base weights if they are missing, or by an address.

        `http://host:8000/v1#name` is a model behind an OpenAI-compatible server (`docs/remote-models.md`).
        `base` is the folder of an adapter's whole model, where that was moved; without `zoom` no question is
        looked at again from nearby; `dtype` is float32, float16 or bfloat16 in place of the quickest.

        Raises:
            WeightsError: there is no such model, or its weights cannot be had.
            AssistantError: an address cannot be used.
            ValueError: there is no such `dtype`.
        """
        from .engine.loading import load_engine

        return cls(load_engine(model, base, zoom=zoom, dtype=dtype))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan (see `planning.py`)."""
        return self.engine.plans

    def caption(self, image: Source, region: Box | None = None) -> Caption:
        """Say in a sentence what the picture shows."""
        return Caption(self._ask(image, Request(Task.CAPTION, region=region)).grounded.text)

    def vqa(self, image: Source, question: str, region: Box | None = None) -> Answer:
        """Answer a question in a word or a short phrase."""
        return Answer(self._ask(image, Request(Task.VQA, question, region)).grounded.text)

    def refer(self, image: Source, expression: str, region: Box | None = None) -> ReferringResult:
        """Locate the one thing that an expression means (referring expression comprehension)."""
        boxes = self._ask(image, Request(Task.REFER, expression, region)).grounded.boxes
        box = boxes[0] if boxes else None
        return ReferringResult(expression, box, box.score if box else 0.0)

    def detect(self, image: Source, phrase_or_sentence: str, region: Box | None = None) -> Detections:
        """Find every box of a phrase, or of each phrase of a sentence (parse and ground)."""
        grounded = self._ask(image, Request(Task.DETECTION, phrase_or_sentence, region)).grounded
        return Detections(tuple(map(_without_copies, grounded.phrases)))

    def ground(
        self, image: Source, instruction: str | None = None, region: Box | None = None
    ) -> GroundedText:
        """Describe the picture and locate what is named (grounded captioning)."""
        return self._ask(image, Request(Task.GROUNDING, instruction or "", region)).grounded

    def identify(self, image: Source, region: Box) -> Expression:
        """Name what is in a region (referring expression generation)."""
        return Expression(self._ask(image, Request(Task.IDENTIFY, region=region)).grounded.text, region)

    def chat(self, image: Source | None, turns: Sequence[Turn]) -> Reply:
        """Reply freely to the last of `turns`, the one without an answer."""
        *history, last = turns
        return Reply(self._ask(image, Request(None, last.user, history=tuple(history))).grounded.text)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer to one request piece by piece; boxes in it are of its region alone."""
        return self.engine.stream(crop_to_region(_upright(request)))

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer a batch of requests of any mix of tasks, which a listener may follow and stop."""
        requests = list(map(_upright, requests))
        answers = self.engine.generate([crop_to_region(request) for request in requests], listener)
        return [map_to_full_image(*pair) for pair in zip(requests, answers, strict=True)]

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Go on with texts without a picture."""
        return self.engine.complete(completions)

    def _ask(self, image: Source | None, request: Request) -> Generation:
        return self.generate([request if image is None else replace(request, image=as_seen(image))])[0]


def _upright(request: Request) -> Request:
    return request if request.image is None else replace(request, image=as_seen(request.image))


def _without_copies(phrase: GroundedPhrase) -> GroundedPhrase:
    """Drop boxes that a small model repeats to the letter."""
    return GroundedPhrase(phrase.text, tuple(dict.fromkeys(phrase.boxes)), phrase.start)


__all__ = ["VisionLanguageModel"]
