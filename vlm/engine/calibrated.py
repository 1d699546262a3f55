"""Give boxes the probability that they are right in place of the model's own, and refuse improbable ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..answers import Completion, Generation, Request, Written
from ..calibration import Calibration
from ..grounding import GroundedText, with_scores
from ..tasks import Task
from .base import Engine, GenerationListener


class CalibratedEngine:
    """Scores the boxes of another engine's answers by a calibration."""

    def __init__(self, engine: Engine, calibration: Calibration) -> None:
        self._engine = engine
        self._calibration = calibration

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan."""
        return self._engine.plans

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests; boxes carry the probability that they are right."""
        answers = self._engine.generate(requests, listener)
        return [self._scored(request, answer) for request, answer in zip(requests, answers, strict=True)]

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Continue texts, which hold no boxes to score."""
        return self._engine.complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        return self._engine.stream(request)

    def _scored(self, request: Request, answer: Generation) -> Generation:
        if request.task is None or not answer.evidence:
            return answer
        scores = [self._calibration.probability(request.task, evidence) for evidence in answer.evidence]
        if None in scores:
            return answer
        grounded = with_scores(answer.grounded, scores)
        likeliest = max(score for score in scores if score is not None)
        if request.task is Task.REFER and likeliest < self._calibration.refuse_below:
            grounded = GroundedText(grounded.text, raw=grounded.raw)
        return replace(answer, grounded=grounded)


__all__ = ["CalibratedEngine"]
