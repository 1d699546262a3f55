"""Captions that the model writes itself, learnt from by how well people's captions agree with them.

Self-critical sequence training (Rennie et al. 2017, arXiv 1612.00563): captions are drawn from the model, and
each is made as much likelier as its CIDEr-D is above a baseline. The baseline is the mean of the other
captions drawn of the same picture (Luo 2020, arXiv 2003.09971), so that no caption more has to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from peft import PeftModel
from PIL import Image

from ..data.instructions import Sample
from ..data.mixture import Example
from ..evaluation.captions import caption_scorers, plain_words
from ..processing import MiniGPTv2Processor
from ..tasks import Task, Turn
from .batches import Collate

# Tokens of a written caption; people's have a dozen.
LONGEST = 32
# The end is a word too: without it, captions that break off behind "in a" lose nothing by it.
_END = "</s>"

Reward = Callable[[Sequence[str], Sequence[str]], torch.Tensor]
"""From captions of one picture, and people's of it, to how good each of them is (captions)."""


class CaptionReward:
    """CIDEr-D with the word weights of one set of captioned pictures.

    Raises:
        AssistantError: pycocoevalcap is not installed.
    """

    def __init__(self, pictures: Sequence[Sequence[str]]) -> None:
        corpus, _ = caption_scorers()
        for references in pictures:
            corpus += (None, _ended(references))
        corpus.compute_doc_freq()
        self._pictures = len(pictures)
        self._document_frequency = corpus.document_frequency

    def __call__(self, captions: Sequence[str], references: Sequence[str]) -> torch.Tensor:
        """Return the CIDEr-D, 0..10, of each caption of one picture against people's."""
        people = _ended(references)
        return torch.tensor([self._score(caption, people) for caption in _ended(captions)])

    def _score(self, caption: str, references: Sequence[str]) -> float:
        scorer, _ = caption_scorers()
        scorer += (caption, references)
        scorer.document_frequency = self._document_frequency
        # The scorer takes the number of pictures that words were counted in from the length of this list.
        scorer.crefs += [[]] * (self._pictures - 1)
        return float(scorer.compute_cider()[0])


class SelfCriticalCollator:
    """Lets the model write captions of the batch's captioned pictures, to be learnt by their advantage.

    They are asked for in the words of the example's own request for a caption; an example without one, or
    without people's captions, is left as it is.
    """

    def __init__(
        self,
        collate: Collate,
        model: PeftModel,
        processor: MiniGPTv2Processor,
        reward: Reward,
        captions: int,
        *,
        bf16: bool,
    ) -> None:
        self._collate = collate
        self._model = model
        self._processor = processor
        self._reward = reward
        self._captions = captions
        self._bf16 = bf16

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return the batch with the written captions in it, and their `rewards` (captions)."""
        requests = {
            index: request for index, example in enumerate(examples) if (request := _request(example))
        }
        if not requests:
            return self._collate(examples)
        images = [image for index in requests if (image := examples[index].image) is not None]
        written = write_captions(
            self._model, self._processor, images, list(requests.values()), self._captions, bf16=self._bf16
        )
        rewards = torch.stack(
            [
                self._reward(captions, examples[index].references)
                for index, captions in zip(requests, written, strict=True)
            ]
        )
        examples = list(examples)
        for index, captions, weights in zip(requests, written, advantages(rewards).tolist(), strict=True):
            learnt = [
                Sample(Task.CAPTION, Turn(requests[index], caption), weight=weight)
                for caption, weight in zip(captions, weights, strict=True)
            ]
            examples[index] = replace(examples[index], samples=examples[index].samples + learnt)
        return self._collate(examples) | {"rewards": rewards.flatten()}


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Return how far each reward (pictures, captions) is above the mean of the picture's others.

    In units of the batch's standard deviation: a step is as large however good the captions are by now.
    """
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    above = rewards - others
    return above / above.std().clamp(min=1e-6)


def write_captions(
    model: PeftModel,
    processor: MiniGPTv2Processor,
    images: Sequence[Image.Image],
    requests: Sequence[str],
    count: int,
    *,
    bf16: bool,
) -> list[list[str]]:
    """Draw `count` captions of each picture from the model as it is at this moment.

    Every picture is read once; its captions go on from there.
    """
    batch = processor(list(images), [[Turn(request)] for request in requests]).to(model.device)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    training = model.training
    model.eval()
    precision = torch.autocast(model.device.type, torch.bfloat16, enabled=bf16)
    # Compiled layers would be prepared anew for decoding with a cache.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), precision:
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        past = model(
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=positions[:, :-1],
            pixel_values=batch["pixel_values"],
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
        past.batch_repeat_interleave(count)
        written = model.generate(
            input_ids=ids.repeat_interleave(count, 0),
            attention_mask=mask.repeat_interleave(count, 0),
            past_key_values=past,
            do_sample=True,
            top_k=0,
            max_new_tokens=LONGEST,
        )[:, ids.shape[1] :]
    model.train(training)
    texts = [processor.decode_answer(answer.tolist()) for answer in written]
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def _request(example: Example) -> str | None:
    """Return in what words the example asks for a caption, None where it does not or cannot be scored."""
    asked = [
        exchange.turn.user
        for sample in example.samples
        for exchange in sample.exchanges
        if exchange.task is Task.CAPTION
    ]
    return asked[0] if asked and example.references and example.image is not None else None


def _ended(captions: Sequence[str]) -> list[str]:
    return [f"{plain_words(caption)} {_END}" for caption in captions]


__all__ = ["CaptionReward", "SelfCriticalCollator", "advantages", "write_captions"]
