"""Answers that the model writes itself, learnt from by the measure that they are evaluated by.

Self-critical sequence training (Rennie et al. 2017, arXiv 1612.00563): answers are drawn from the model, and
each is made as much likelier as its reward is above a baseline: for captions their CIDEr-D, for boxes their
overlap with the one that is sought. The baseline is the mean of the other answers drawn to the same question
(Luo 2020, arXiv 2003.09971), so that no answer more has to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from peft import PeftModel
from PIL import Image

from ..data.collator import TASKS
from ..data.instructions import Sample
from ..data.mixture import Example
from ..evaluation.captions import caption_scorers, plain_words
from ..grounding import parse
from ..processing import MiniGPTv2Processor
from ..tasks import Task, Turn
from .batches import Collate

# Tokens of a written answer; people's captions have a dozen, a box has at most two dozen.
MAX_NEW_TOKENS = 32
# Drawn as is, most answers of a small model are so far from its best that they say nothing about it.
TEMPERATURE = 0.7
# The overlap from which on a box counts as right.
_RIGHT = 0.5
# The end is a word too: without it, captions that break off behind "in a" lose nothing by it.
_END = "</s>"

Reward = Callable[[Sequence[str], Sequence[str]], torch.Tensor]
"""From answers to one question, and people's to it, to how good each of them is (answers)."""


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


def box_reward(answers: Sequence[str], references: Sequence[str]) -> torch.Tensor:
    """Return how well each answer's first box meets that of the one reference, 0..1.

    Both measures of referring expression comprehension count, the overlap and whether it is 0.5 or more: the
    former alone is served by a box around everything that may be meant. Of a thing that is not there, the
    reference has no box, and answers without one are right.
    """
    found = [parse(answer).boxes for answer in answers]
    wanted = parse(references[0]).boxes
    if not wanted:
        return torch.tensor([0.0 if boxes else 1.0 for boxes in found])
    overlaps = torch.tensor([boxes[0].iou(wanted[0]) if boxes else 0.0 for boxes in found])
    return (overlaps + (overlaps >= _RIGHT)) / 2


@dataclass(frozen=True)
class _Question:
    """What the model is asked of the example at an index, and the answers that its own are held against."""

    index: int
    task: Task
    words: str
    references: Sequence[str]


class SelfCriticalCollator:
    """Lets the model answer questions of the batch itself, to be learnt by the answers' advantage.

    Of each picture, one question for each task that has a reward: captions against all that people wrote of
    the picture, a referring expression against its box. They are asked in the words of the example's own
    sample; an example without one, or without a reference, is left as it is.
    """

    def __init__(
        self,
        collate: Collate,
        model: PeftModel,
        processor: MiniGPTv2Processor,
        rewards: Mapping[Task, Reward],
        answers: int,
        *,
        bf16: bool,
    ) -> None:
        self._collate = collate
        self._model = model
        self._processor = processor
        self._rewards = rewards
        self._answers = answers
        self._bf16 = bf16

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return the batch with the written answers in it, their `rewards` and `rewarded` (answers).

        The latter is the number in `TASKS` of the task that each answers.
        """
        examples = list(examples)
        rewards, rewarded = [], []
        for task in self._rewards:
            questions = [
                question
                for index, example in enumerate(examples)
                if (question := _question(index, example, task)) is not None
            ]
            if questions:
                rewards.append(self._answer(questions, examples))
                rewarded += [TASKS.index(task)] * len(rewards[-1])
        batch = self._collate(examples)
        return (
            batch | {"rewards": torch.cat(rewards), "rewarded": torch.tensor(rewarded)} if rewards else batch
        )

    def _answer(self, questions: Sequence[_Question], examples: list[Example]) -> torch.Tensor:
        """Add answers to questions of one task to their examples; return the rewards (answers)."""
        task = questions[0].task
        images = [image for item in questions if (image := examples[item.index].image) is not None]
        written = write_answers(
            self._model,
            self._processor,
            images,
            [item.words for item in questions],
            self._answers,
            bf16=self._bf16,
        )
        reward = self._rewards[task]
        rewards = torch.stack(
            [reward(answers, item.references) for item, answers in zip(questions, written, strict=True)]
        )
        for item, answers, weights in zip(questions, written, advantages(rewards).tolist(), strict=True):
            learnt = [
                Sample(task, Turn(item.words, answer), weight=weight)
                for answer, weight in zip(answers, weights, strict=True)
            ]
            example = examples[item.index]
            examples[item.index] = replace(example, samples=example.samples + learnt)
        return rewards.flatten()


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Return how far each reward (questions, answers) is above the mean of the question's others.

    In units of the batch's standard deviation: a step is as large however good the answers are by now.
    """
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    above = rewards - others
    return above / above.std().clamp(min=1e-6)


def write_answers(
    model: PeftModel,
    processor: MiniGPTv2Processor,
    images: Sequence[Image.Image],
    requests: Sequence[str],
    count: int,
    *,
    bf16: bool,
) -> list[list[str]]:
    """Draw `count` answers to each picture's question from the model as it is at this moment.

    Every picture is read once; its answers go on from there.
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
            temperature=TEMPERATURE,
            top_k=0,
            max_new_tokens=MAX_NEW_TOKENS,
        )[:, ids.shape[1] :]
    model.train(training)
    texts = [processor.decode_answer(answer.tolist()) for answer in written]
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def has_reward(samples: Sequence[Sample], captions: Sequence[str]) -> bool:
    """Return whether answers to any question over a picture can be rewarded; `captions` are people's."""
    exchanges = [exchange for sample in samples for exchange in sample.exchanges]
    return any(_references(exchange, captions) for exchange in exchanges)


def _question(index: int, example: Example, task: Task) -> _Question | None:
    """Return the first question of a task whose answers can be rewarded, None where there is none."""
    if example.image is None:
        return None
    for sample in example.samples:
        for exchange in sample.exchanges:
            references = _references(exchange, example.references)
            if exchange.task is task and references:
                return _Question(index, task, exchange.turn.user, references)
    return None


def _references(exchange: Sample, captions: Sequence[str]) -> Sequence[str]:
    """Return the answers that others are held against: captions of the whole picture, or the one box."""
    if exchange.task is Task.CAPTION:
        return captions
    answer = exchange.turn.answer or ""
    return (answer,) if exchange.task is Task.REFER and len(parse(answer).boxes) == 1 else ()


def _ended(captions: Sequence[str]) -> list[str]:
    return [f"{plain_words(caption)} {_END}" for caption in captions]


__all__ = ["CaptionReward", "SelfCriticalCollator", "advantages", "box_reward"]
__all__ += ["has_reward", "write_answers"]
