"""Minimum Bayes risk decoding of referents: of many sampled boxes, answer with the most agreed one.

Greedy decoding fixes a box digit by digit, and can so leave the region where most of the model's probability
lies. The box with the highest mean IoU with a sample of boxes is right more often, and this mean says how
sure the model is. `phrase_refer` and `phrase_refer_one_look` of `benchmarks/nano_val.py` measure the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from ..answers import Generation, Request
from ..grounding import with_scores
from ..tasks import Task
from .base import EngineWrapper, GenerationListener
from .sampling import even_codes

# With the greedy answer, as many rows as decode together.
CODES = even_codes(15)


class ConsensusEngine(EngineWrapper):
    """Replaces a referent's box by the one that sampled answers agree on; listeners get the greedy answer.

    The wrapped engine must answer requests that have a code.
    """

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests; each `[refer]` is sampled in the same batch."""
        asked, samples = list(requests), {}
        for index, request in enumerate(requests):
            if request.task is Task.REFER:
                samples[index] = slice(len(asked), len(asked) + len(CODES))
                asked += [replace(request, code=code) for code in CODES]
        if not samples:
            return self._engine.generate(requests, listener)
        found = self._engine.generate(asked, listener and _Greedy(listener, len(requests)))
        return [
            agreed(answer, found[samples[index]]) if index in samples else answer
            for index, answer in enumerate(found[: len(requests)])
        ]


class _Greedy:
    """Forwards the first answers to a listener, but no samples."""

    def __init__(self, listener: GenerationListener, count: int) -> None:
        self._listener = listener
        self._count = count

    def on_text(self, request: int, raw: str) -> None:
        """Receive the raw text so far of the request at an index."""
        if request < self._count:
            self._listener.on_text(request, raw)

    def should_stop(self) -> bool:
        """Return whether to stop generating."""
        return self._listener.should_stop()


def agreed(greedy: Generation, samples: Sequence[Generation]) -> Generation:
    """Return the answer, of the greedy one and the samples, whose box agrees best with the samples.

    A greedy answer without a box stays so. The box's score is its mean IoU with the samples, of which one
    without a box counts as 0.
    """
    whole = [sample for sample in samples if sample.complete]
    candidates = [answer for answer in (greedy, *whole) if answer.grounded.boxes]
    if not greedy.complete or not greedy.grounded.boxes or not whole:
        return greedy
    best, score = max(((it, _agreement(it, whole)) for it in candidates), key=lambda pair: pair[1])
    return replace(
        best,
        grounded=with_scores(best.grounded, [score] * len(best.grounded.boxes)),
        evidence=tuple(replace(it, consensus=score) for it in best.evidence),
        seconds=max(answer.seconds for answer in (greedy, *whole)),
    )


def _agreement(answer: Generation, others: Sequence[Generation]) -> float:
    """Return the mean IoU of the answers' first boxes."""
    (box, *_), found = answer.grounded.boxes, [other.grounded.boxes[:1] for other in others]
    return mean(box.iou(of_other[0]) if of_other else 0.0 for of_other in found)


__all__ = ["CODES", "ConsensusEngine", "agreed"]
