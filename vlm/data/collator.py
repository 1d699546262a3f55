"""Examples into tensors: all samples over one picture share the tokens of that picture.

A picture's visual tokens cost more than most questions, so they are computed once and every sample of the
example attends to them and to itself alone, at the positions it would have by itself: the loss is that of
the samples one by one (tested), at a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..processing import IGNORED, EncodedPrompt, MiniGPTv2Processor
from ..tasks import SegmentKind, build_prompt
from .instructions import Sample
from .mixture import Example

LENGTH_STEP = 32


class SharedPictureCollator:
    """Builds right-padded training batches with 4-dimensional attention masks."""

    def __init__(self, processor: MiniGPTv2Processor) -> None:
        self.processor = processor

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `labels`, `position_ids` (batch, length), `attention_mask` (batch, 1, length,
        length; True where a query may look) and `pixel_values`.
        """
        rows = [self._row(example.samples) for example in examples]
        # Few distinct lengths: kernels are prepared anew for every shape on a CPU.
        length = LENGTH_STEP * -(-max(len(ids) for ids, _, _, _ in rows) // LENGTH_STEP)
        pad = self.processor.tokenizer.pad_token_id
        columns = zip(*rows, strict=True)
        # Padding is a group of its own, -1: it sees itself, so that no row of the softmax is empty.
        ids, labels, positions, groups = (
            torch.tensor([row + [fill] * (length - len(row)) for row in column])
            for column, fill in zip(columns, (pad, IGNORED, 0, -1), strict=True)
        )
        return {
            "input_ids": ids,
            "labels": labels,
            "position_ids": positions,
            "attention_mask": shared_prefix_mask(groups),
            "pixel_values": self.processor.pixels([example.image for example in examples]),
        }

    def _row(self, samples: Sequence[Sample]) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return token ids, labels, positions and groups; group 0 is the picture, seen by every other."""
        row = EncodedPrompt([], [])
        positions: list[int] = []
        groups: list[int] = []
        for group, sample in enumerate(samples, start=1):
            segments = build_prompt([sample.turn], image=True)
            cut = 1 + next(i for i, segment in enumerate(segments) if segment.kind is SegmentKind.IMAGE)
            if group == 1:
                row += self.processor.encode(segments[:cut])
                prefix = len(row.input_ids)
                positions += range(prefix)
                groups += [0] * prefix
            asked = self.processor.encode(segments[cut:])
            row += asked
            positions += range(prefix, prefix + len(asked.input_ids))
            groups += [group] * len(asked.input_ids)
        return row.input_ids, row.labels, positions, groups


def shared_prefix_mask(groups: torch.Tensor) -> torch.Tensor:
    """Return who may look at whom, (batch, 1, length, length), from each token's group (batch, length)."""
    same = groups[:, :, None] == groups[:, None, :]
    prefix = (groups == 0)[:, None, :] & (groups >= 0)[:, :, None]
    causal = torch.ones(groups.shape[1], groups.shape[1], dtype=torch.bool).tril()
    return ((same | prefix) & causal).unsqueeze(1)


__all__ = ["SharedPictureCollator", "shared_prefix_mask"]
