"""Pick tokens according to `GenerationOptions`, with transformers' logits processors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from ..generation_options import GenerationOptions
from .beams import BeamSearch
from .constraint import Chooser


class OptionsChooser:
    """Picks one row's tokens; call it once for each token, in order.

    The repetition penalty counts the answer's tokens, not the prompt's, as in the reference, which generates
    from embeddings.
    """

    def __init__(self, options: GenerationOptions) -> None:
        self._processors = LogitsProcessorList()
        if penalty := _penalty(options):
            self._processors.append(RepetitionPenaltyLogitsProcessor(penalty))
        self._random = None
        if options.temperature:
            self._random = torch.Generator()
            self._random.manual_seed(options.seed) if options.seed is not None else self._random.seed()
            self._processors.append(TemperatureLogitsWarper(float(options.temperature)))
            if options.top_p is not None:
                self._processors.append(TopPLogitsWarper(options.top_p))

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the next token, given logits (vocabulary), and the model's own probability of it."""
        ids = torch.tensor([list(written)], dtype=torch.long, device=logits.device)
        scores = self._processors(ids, logits[None].float())[0]
        if self._random is None:
            token = int(scores.argmax())
        else:  # on the CPU, where a seed gives the same numbers on every machine
            token = int(torch.multinomial(scores.cpu().double().softmax(-1), 1, generator=self._random))
        return token, float(logits.softmax(-1)[token])


def search_of(options: GenerationOptions) -> BeamSearch | None:
    """Return the beam search for a row's answer; None if its tokens are picked one by one."""
    beams = options.beams or 1
    return BeamSearch(beams, _penalty(options) or 1.0) if beams > 1 else None


def chooser_of(options: GenerationOptions) -> Chooser | None:
    """Return the chooser of a row's tokens; None for greedy decoding."""
    return OptionsChooser(options) if options.temperature or _penalty(options) else None


def _penalty(options: GenerationOptions) -> float | None:
    """Return the repetition penalty, None if it has no effect."""
    penalty = options.repetition_penalty
    return None if penalty is None or penalty == 1 else float(penalty)


def options_of(config: GenerationConfig) -> GenerationOptions:
    """Return the options in a model's `GenerationConfig`, except the length: ours depends on the task.

    Raises:
        ValueError: an option is out of range.
    """
    samples = bool(config.do_sample)
    return GenerationOptions(
        temperature=(1.0 if config.temperature is None else config.temperature) if samples else 0.0,
        top_p=config.top_p if samples else None,
        repetition_penalty=config.repetition_penalty,
        beams=config.num_beams,
    )
