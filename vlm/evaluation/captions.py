"""Score captions by CIDEr-D and BLEU-4 with pycocoevalcap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..extras import require
from .metrics import Measure, bootstrap, mean


def caption_scores(
    predicted: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[dict[str, Measure], list[float]]:
    """Return the measures of all captions, and the CIDEr-D of each.

    Words are split by a regular expression instead of the scorers' Java tokenizer, so figures may differ from
    published ones in the second digit.

    Raises:
        AssistantError: the scorers are not installed.
    """
    cider, bleu = caption_scorers()
    for caption, wanted in zip(predicted, references, strict=True):
        pair = (plain_words(caption), [plain_words(text) for text in wanted])
        cider += pair
        bleu += pair
    _, each = cider.compute_score()
    scores = [float(score) for score in each]
    return {"cider_d": mean(scores), "bleu_4": _bleu_4(bleu)}, scores


def _bleu_4(scorer: Any) -> Measure:
    """Return corpus BLEU-4, bootstrapped from the scorer's counts for each sentence.

    Applies the scorer's formula (Papineni et al. 2002) to the sums over the resampled sentences.
    """
    correct, guessed = (np.array([item[key] for item in scorer.ctest]) for key in ("correct", "guess"))
    length = np.array([item["testlen"] for item in scorer.ctest])
    nearest = np.array(
        [min(item["reflen"], key=lambda n: (abs(n - item["testlen"]), n)) for item in scorer.ctest]
    )

    def statistic(drawn: np.ndarray) -> float:
        precisions = (correct[drawn].sum(0) + 1e-15) / (guessed[drawn].sum(0) + 1e-9)
        ratio = (length[drawn].sum() + 1e-15) / (nearest[drawn].sum() + 1e-9)
        return float(np.exp(np.log(precisions).mean() + min(0.0, 1 - 1 / ratio)))

    return bootstrap(len(length), statistic)


def caption_scorers() -> tuple[Any, Any]:
    """Return new scorers of CIDEr-D and BLEU-4.

    Raises:
        AssistantError: they are not installed.
    """
    require("evaluation", "scoring captions")
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    return CiderScorer(n=4, sigma=6.0), BleuScorer(n=4)


def plain_words(text: str) -> str:
    """Return a caption as the scorers expect it: words in lower case, separated by spaces."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
