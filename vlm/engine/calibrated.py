"""Replace the model's own box scores with calibrated probabilities, and refuse improbable referents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..answers import Generation, Request
from ..calibration import Calibration
from ..grounding import GroundedText, with_scores
from ..tasks import Task
from .base import Engine, EngineWrapper, GenerationListener


class CalibratedEngine(EngineWrapper):
    """Scores the boxes of the wrapped engine's answers with the calibration of the adapter that answered."""

    def __init__(self, engine: Engine, calibrations: Mapping[str, Calibration]) -> None:
        super().__init__(engine)
        self._calibrations = calibrations

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests; a box's score is the probability that it is correct."""
        answers = self._engine.generate(requests, listener)
        return [self._scored(request, answer) for request, answer in zip(requests, answers, strict=True)]

    def _scored(self, request: Request, answer: Generation) -> Generation:
        calibration = self._calibrations.get(request.adapter)
        if calibration is None or request.task is None or not answer.evidence:
            return answer
        scores = [calibration.probability(request.task, evidence) for evidence in answer.evidence]
        if None in scores:
            return answer
        grounded = with_scores(answer.grounded, scores)
        likeliest = max(score for score in scores if score is not None)
        if request.task is Task.REFER and likeliest < calibration.refuse_below:
            grounded = GroundedText(grounded.text, raw=grounded.raw)
        return replace(answer, grounded=grounded)
