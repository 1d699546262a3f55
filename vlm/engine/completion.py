"""Continue texts: each becomes a row of the decoder's batch."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerFast

from ..answers import Completion, Continuation
from ..architecture.processing import token_ids
from .batching import BatchDecoder, Row
from .constraint import Constraint


class Completer:
    """Decodes completions; holds `lock` while it uses the tokenizer."""

    def __init__(
        self, decoder: BatchDecoder, tokenizer: PreTrainedTokenizerFast, lock: threading.Lock, room: int
    ) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._lock = lock
        self._room = room

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Continue texts, batched with everything else that is being decoded.

        Raises:
            ValueError: a text is too long for the model.
        """
        rows = [self._row(completion) for completion in completions]
        for _ in self._decoder.decode(rows):
            pass
        return [self._continuation(row) for row in rows]

    def _row(self, completion: Completion) -> Row:
        ids = [self._tokenizer.bos_token_id, *self._ids(completion.prompt)]
        if len(ids) + completion.max_new_tokens > self._room:
            raise ValueError(
                f"a text of {len(ids)} tokens is too long for a model of {self._room}: shorten it"
            )
        constraint = None
        if completion.choices is not None:
            end = self._tokenizer.eos_token_id
            constraint = Constraint(completion.choices, self._ids, self._text, end)
        copied = self._ids(completion.copied) if completion.copied else []
        return Row(torch.tensor(ids), None, completion.max_new_tokens, constraint, copied)

    def _ids(self, text: str) -> list[int]:
        with self._lock:
            return token_ids(self._tokenizer, text)

    def _text(self, ids: Sequence[int]) -> str:
        with self._lock:
            return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _continuation(self, row: Row) -> Continuation:
        pieces = tuple(self._text([token]) for token in row.tokens)
        return Continuation(self._text(row.tokens), pieces, tuple(row.probabilities), row.complete)
