"""Collate examples into batches in which all samples over one image share its visual tokens.

Visual tokens cost more than most questions, so each image is computed once. Every sample attends to the image
and to itself only, at the positions that it would have alone: the loss equals that of separate samples
(tested), at a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import torch

from ..architecture.processing import IGNORED, EncodedPrompt, MiniGPTv2Processor
from ..prompt_form import PromptForm
from ..tasks import Segment, SegmentKind, Task, build_prompt
from .instructions import Sample
from .mixture import Example

Number = TypeVar("Number", int, float)

LENGTH_STEP = 32
# Cap the length of a row, or a few long conversations would set the memory that a run needs.
MAX_ROW_TOKENS = 2048

TASKS: tuple[Task | None, ...] = (*Task, None)
"""The meaning of the indices in `tasks`; None is free conversation."""
NO_TASK = -1
PLANNING = len(TASKS)
"""The index in `tasks` for plans."""
WRITTEN = PLANNING + 1
"""The index in `tasks` for answers that the model generated itself, for any task."""


@dataclass
class _Row:
    """One example as equally long lists; group 0 is the image, which all groups see, and -1 is padding.

    It takes `room` tokens.
    """

    room: int = MAX_ROW_TOKENS
    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, encoded: EncodedPrompt, start: int, group: int, task: int, weight: float = 1.0) -> None:
        """Append tokens at positions from `start`, cut to the room left; labelled ones belong to `task`."""
        ids = encoded.input_ids[: self.room - len(self.ids)]
        labels = encoded.labels[: len(ids)]
        self.ids += ids
        self.labels += labels
        self.positions += range(start, start + len(ids))
        self.groups += [group] * len(ids)
        self.tasks += [NO_TASK if label == IGNORED else task for label in labels]
        self.weights += [weight] * len(ids)


class SharedImageCollator:
    """Builds right-padded training batches with 4-dimensional attention masks."""

    def __init__(self, processor: MiniGPTv2Processor) -> None:
        self.processor = processor

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `labels`, `label_weights`, `position_ids`, `tasks` (batch, length),
        `attention_mask` (batch, 1, length, length; True where a query may attend) and `pixel_values` if any
        example has an image.

        `tasks` holds, for each labelled token, the index in `TASKS` of its task, `PLANNING` or `WRITTEN`, and
        -1 elsewhere; only the log uses it. Rows are cut at `MAX_ROW_TOKENS` tokens, or prompts and answers
        where the prompt form says.
        """
        rows = [self._row(example) for example in examples]
        # Round lengths up: on a CPU every new shape needs new kernels.
        length = LENGTH_STEP * -(-max(len(row.ids) for row in rows) // LENGTH_STEP)

        def padded(lists: Sequence[list[Number]], fill: Number) -> torch.Tensor:
            return torch.tensor([values + [fill] * (length - len(values)) for values in lists])

        batch = {
            "input_ids": padded([row.ids for row in rows], self.processor.tokenizer.pad_token_id),
            "labels": padded([row.labels for row in rows], IGNORED),
            "label_weights": padded([row.weights for row in rows], 1.0),
            "position_ids": padded([row.positions for row in rows], 0),
            "tasks": padded([row.tasks for row in rows], NO_TASK),
            # Padding attends to itself, so that no row of the softmax is empty.
            "attention_mask": shared_prefix_mask(padded([row.groups for row in rows], -1)),
        }
        images = [example.image for example in examples if example.image is not None]
        if images:
            batch["pixel_values"] = self.processor.pixels(images)
        return batch

    def _row(self, example: Example) -> _Row:
        form = self.processor.prompt_form
        row = _Row(_room(form))
        prefix = 0
        for group, sample in enumerate(example.samples, start=1):
            turns = [exchange.turn for exchange in sample.exchanges]
            opening, asked = _parts(build_prompt(turns, image=example.image is not None, frame=form.training))
            if group == 1:
                row.add(self.processor.encode(opening), 0, group=0, task=NO_TASK)
                prefix = len(row.ids)
            start = prefix
            encoded = _shortened(list(map(self.processor.encode, asked)), prefix, form)
            for exchange, part in zip(sample.exchanges, encoded, strict=True):
                row.add(part, start, group, *_task_and_weight(exchange))
                start += len(part)
        return row


def _room(form: PromptForm) -> int:
    """Return the length of a row: at least one sample fits."""
    return max(MAX_ROW_TOKENS, 1 + (form.training_prompt_tokens or 0) + (form.training_answer_tokens or 0))


def _shortened(turns: list[EncodedPrompt], before: int, form: PromptForm) -> list[EncodedPrompt]:
    """Cut the first question, behind `before` tokens, and all that follows it, where the form says."""
    if form.training_prompt_tokens is None or form.training_answer_tokens is None:
        return turns
    first = turns[0]
    asked = next((place for place, label in enumerate(first.labels) if label != IGNORED), len(first))
    begins = form.training.begins
    question = first.cut(0, max(0, min(asked, begins + form.training_prompt_tokens - before)))
    room = form.training_answer_tokens
    cut = []
    for part in (first.cut(asked, len(first)), *turns[1:]):
        cut.append(part.cut(0, room))
        room -= len(cut[-1])
    return [question + cut[0], *cut[1:]]


def _task_and_weight(exchange: Sample) -> tuple[int, float]:
    if exchange.weight is not None:
        return WRITTEN, exchange.weight
    return PLANNING if exchange.turn.bare else TASKS.index(exchange.task), 1.0


def _parts(segments: Sequence[Segment]) -> tuple[Sequence[Segment], list[Sequence[Segment]]]:
    """Split a prompt into the part up to its image (empty without one) and the turns after it."""
    kinds = [segment.kind for segment in segments]
    cut = 1 + kinds.index(SegmentKind.IMAGE) if SegmentKind.IMAGE in kinds else 0
    begins = [place for place, kind in enumerate(kinds) if kind is SegmentKind.BEGIN]
    return segments[:cut], [segments[a:b] for a, b in pairwise([cut, *begins[1:], len(segments)])]


def shared_prefix_mask(groups: torch.Tensor) -> torch.Tensor:
    """Return the attention mask (batch, 1, length, length) for each token's group (batch, length)."""
    same = groups[:, :, None] == groups[:, None, :]
    prefix = (groups == 0)[:, None, :] & (groups >= 0)[:, :, None]
    causal = torch.ones(groups.shape[1], groups.shape[1], dtype=torch.bool).tril()
    return ((same | prefix) & causal).unsqueeze(1)
