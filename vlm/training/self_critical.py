"""Self-critical sequence training: optimise the evaluation measure on answers sampled from the model.

After Rennie et al. 2017 (arXiv 1612.00563): the log-likelihood of each sampled answer is weighted by its
reward above a baseline. The reward is CIDEr-D for captions and the IoU with the true box for referring
expressions; the baseline is the mean of the other samples for the same question (Luo 2020, arXiv 2003.09971),
which costs no further generation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from ..architecture.processing import MiniGPTv2Processor
from ..data.collator import TASKS
from ..data.instructions import Sample
from ..data.mixture import Example
from ..evaluation.captions import caption_scorers, plain_words
from ..evaluation.metrics import HIT
from ..grounding import parse
from ..tasks import Task, Turn
from .adapted_model import AdaptedModel
from .sharding import Collate

# Tokens of a sampled answer; human captions have a dozen, a box at most two dozen.
MAX_NEW_TOKENS = 32
# At temperature 1 most samples of a small model are too far from its best answer to teach anything.
TEMPERATURE = 0.7
# Count the end as a word, or captions that break off after "in a" would lose nothing.
_END = "</s>"

Reward = Callable[[Sequence[str], Sequence[str]], torch.Tensor]
"""From sampled answers and reference answers to one question to rewards (answers)."""


class CaptionReward:
    """CIDEr-D with the document frequencies of a set of captioned images.

    Raises:
        AssistantError: pycocoevalcap is not installed.
    """

    def __init__(self, images: Sequence[Sequence[str]]) -> None:
        corpus, _ = caption_scorers()
        for references in images:
            corpus += (None, _ended(references))
        corpus.compute_doc_freq()
        self._images = len(images)
        self._document_frequency = corpus.document_frequency

    def __call__(self, captions: Sequence[str], references: Sequence[str]) -> torch.Tensor:
        """Return the CIDEr-D, 0..10, of each caption of one image against the human ones."""
        wanted = _ended(references)
        return torch.tensor([self._score(caption, wanted) for caption in _ended(captions)])

    def _score(self, caption: str, references: Sequence[str]) -> float:
        scorer, _ = caption_scorers()
        scorer += (caption, references)
        scorer.document_frequency = self._document_frequency
        # The scorer takes the number of documents from the length of this list.
        scorer.crefs += [[]] * (self._images - 1)
        return float(scorer.compute_cider()[0])


def box_reward(answers: Sequence[str], references: Sequence[str]) -> torch.Tensor:
    """Return the reward of each answer's first box against that of the one reference, 0..1.

    The reward is the mean of the IoU and of whether it is 0.5 or more: the IoU alone favours a box around all
    candidates. For absent things the reference has no box, and answers without a box are right.
    """
    found = [parse(answer).boxes for answer in answers]
    wanted = parse(references[0]).boxes
    if not wanted:
        return torch.tensor([0.0 if boxes else 1.0 for boxes in found])
    overlaps = torch.tensor([boxes[0].iou(wanted[0]) if boxes else 0.0 for boxes in found])
    return (overlaps + (overlaps >= HIT)) / 2


def rewards_for(captions: Sequence[Sequence[str]]) -> dict[Task, Reward]:
    """Return the reward of each task; captions have one only if there are human captions (of each image)."""
    return {Task.REFER: box_reward} | ({Task.CAPTION: CaptionReward(captions)} if captions else {})


@dataclass(frozen=True)
class _Question:
    """A question about the example at an index, and its reference answers."""

    index: int
    task: Task
    words: str
    references: Sequence[str]


@dataclass(frozen=True)
class AnswerSampler:
    """Collates examples with answers sampled from the model, weighted by their advantage.

    For each image, `answers` to one question per task with a reward: captions against all human captions, a
    referring expression against its box. The question is worded as in the example's own sample; examples
    without such a sample or without references are unchanged.
    """

    collate: Collate
    model: AdaptedModel
    processor: MiniGPTv2Processor
    rewards: Mapping[Task, Reward]
    answers: int
    bf16: bool

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return the batch with the sampled answers, their `rewards` (answers) and their task indices in
        `TASKS`, `rewarded` (answers).
        """
        examples = list(examples)
        rewards, rewarded = [], []
        for task in self.rewards:
            questions = [
                question
                for index, example in enumerate(examples)
                if (question := _question(index, example, task)) is not None
            ]
            if questions:
                rewards.append(self._answer(questions, examples))
                rewarded += [TASKS.index(task)] * len(rewards[-1])
        batch = self.collate(examples)
        return (
            batch | {"rewards": torch.cat(rewards), "rewarded": torch.tensor(rewarded)} if rewards else batch
        )

    def _answer(self, questions: Sequence[_Question], examples: list[Example]) -> torch.Tensor:
        """Add sampled answers for one task to the examples; return their rewards (answers)."""
        task = questions[0].task
        images = [image for item in questions if (image := examples[item.index].image) is not None]
        sampled = sample_answers(
            self.model,
            self.processor,
            images,
            [item.words for item in questions],
            self.answers,
            bf16=self.bf16,
        )
        reward = self.rewards[task]
        rewards = torch.stack(
            [reward(answers, item.references) for item, answers in zip(questions, sampled, strict=True)]
        )
        for item, answers, weights in zip(questions, sampled, advantages(rewards).tolist(), strict=True):
            learnt = [
                Sample(task, Turn(item.words, answer), weight=weight)
                for answer, weight in zip(answers, weights, strict=True)
            ]
            example = examples[item.index]
            examples[item.index] = replace(example, samples=example.samples + learnt)
        return rewards.flatten()


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Return each reward (questions, answers) minus the mean of the other rewards of its question.

    Divided by the batch's standard deviation, so that step sizes do not depend on the quality of the answers.
    """
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    above = rewards - others
    return above / above.std().clamp(min=1e-6)


def sample_answers(
    model: AdaptedModel,
    processor: MiniGPTv2Processor,
    images: Sequence[Image.Image],
    requests: Sequence[str],
    count: int,
    *,
    bf16: bool,
) -> list[list[str]]:
    """Sample `count` answers to the question about each image from the current model.

    The prompt is prefilled once; its answers share the key-value cache.
    """
    batch = processor(list(images), [[Turn(request)] for request in requests]).to(model.device)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    training = model.training
    model.eval()
    precision = torch.autocast(model.device.type, torch.bfloat16, enabled=bf16)
    # Compiled layers would be recompiled for decoding with a cache.
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
            temperature=TEMPERATURE,
            top_k=0,
            max_new_tokens=MAX_NEW_TOKENS,
        )[:, ids.shape[1] :]
    model.train(training)
    texts = [processor.decode_answer(answer.tolist()) for answer in written]
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def has_reward(samples: Sequence[Sample], captions: Sequence[str]) -> bool:
    """Return whether any question of the samples has a reward, given the human captions of the image."""
    exchanges = [exchange for sample in samples for exchange in sample.exchanges]
    return any(_references(exchange, captions) for exchange in exchanges)


def _question(index: int, example: Example, task: Task) -> _Question | None:
    """Return the first question of a task with references, None if there is none."""
    if example.image is None:
        return None
    for sample in example.samples:
        for exchange in sample.exchanges:
            references = _references(exchange, example.references)
            if exchange.task is task and references:
                return _Question(index, task, exchange.turn.user, references)
    return None


def _references(exchange: Sample, captions: Sequence[str]) -> Sequence[str]:
    """Return the references of a question: the captions of the image, or the one box."""
    if exchange.task is Task.CAPTION:
        return captions
    answer = exchange.turn.answer or ""
    return (answer,) if exchange.task is Task.REFER and len(parse(answer).boxes) == 1 else ()


def _ended(captions: Sequence[str]) -> list[str]:
    return [f"{plain_words(caption)} {_END}" for caption in captions]
