"""Beam search with transformers' `generate`: the answer that is likeliest as a whole.

A search has a row for each beam, and shares no batch with other requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ..architecture.modeling import MiniGPTv2ForConditionalGeneration


@dataclass(frozen=True)
class BeamSearch:
    """How many beams, and the penalty for tokens that a beam already holds, 1 for none."""

    beams: int
    repetition_penalty: float = 1.0

    def find(
        self,
        model: MiniGPTv2ForConditionalGeneration,
        prompt: torch.Tensor,
        longest: int,
        end_token: int,
        given_up: Callable[[], bool],
    ) -> Iterator[tuple[int, float]]:
        """Yield the answer's tokens, the end token included, with the model's own probability of each.

        `prompt` holds embeddings (1, length, width); the search stops early once it is `given_up`.
        """
        config = GenerationConfig(
            num_beams=self.beams,
            do_sample=False,
            max_new_tokens=longest,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
        # The prompt is no ids, so that the penalty weighs the answer's tokens alone, as in the reference.
        penalties = [RepetitionPenaltyLogitsProcessor(it) for it in (self.repetition_penalty,) if it != 1]
        found: torch.Tensor = model.language_model.generate(
            inputs_embeds=prompt,
            attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device),
            generation_config=config,
            logits_processor=LogitsProcessorList(penalties),
            stopping_criteria=StoppingCriteriaList([_GivenUp(given_up)]),
        )
        answer = torch.cat([prompt, model.get_input_embeddings()(found)], dim=1)
        logits = model(inputs_embeds=answer, logits_to_keep=found.shape[1] + 1).logits[0, :-1].float()
        probabilities = logits.softmax(-1).gather(-1, found[0, :, None])[:, 0]
        for token, probability in zip(found[0].tolist(), probabilities.tolist(), strict=True):
            yield token, probability
            if token == end_token:
                return


class _GivenUp(StoppingCriteria):
    """Stops a search whose caller no longer waits."""

    def __init__(self, given_up: Callable[[], bool]) -> None:
        self._given_up = given_up

    def __call__(self, input_ids: torch.Tensor, _scores: torch.Tensor, **_: object) -> torch.Tensor:
        """Return whether to stop each beam."""
        return torch.full((len(input_ids),), self._given_up(), dtype=torch.bool, device=input_ids.device)
