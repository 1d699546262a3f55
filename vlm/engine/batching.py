"""Greedy decoding with continuous batching: requests join and leave the batch at any token.

One worker thread runs the model, and only while there is work. Requests join first come, first served, so
that none waits for a longer answer to end; a finished row leaves the batch at once. Only a row of another
adapter waits, with those behind it, until the batch is empty. Everything that a caller brings along, such as
a listener, runs in the caller's own thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from queue import Empty, SimpleQueue

import torch

from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from .adapters import OWN, Adapters
from .beams import BeamSearch
from .constraint import Chooser
from .inference import prepare
from .memory import readable
from .prefix_cache import Prefix, PrefixCache
from .slots import Slots

# Bounds the memory of the key-value cache.
MAX_ROWS = 16
# The longest draft: a forward pass over a few tokens takes hardly longer than over one.
DRAFT = 6
# How often a waiting caller wakes up, in seconds.
_POLL_SECONDS = 0.05


@dataclass(eq=False)
class Row:
    """A prompt and the answer generated so far.

    `input_ids` (length) and `pixel_values` (1, 3, side, side) or None are the model's input. `chooser` picks
    each token, `copied` holds tokens that the answer is likely to repeat, and `adapter` names the adapter to
    answer. A `search` finds the whole answer at once instead. Only the worker writes `tokens`, their
    `probabilities`, and how the row ended: `complete` if the model ended the answer, else cut at
    `max_new_tokens`, given up by its caller, or failed with `error`.
    """

    input_ids: torch.Tensor
    pixel_values: torch.Tensor | None
    max_new_tokens: int
    chooser: Chooser | None = None
    copied: Sequence[int] = ()
    adapter: str = OWN
    search: BeamSearch | None = None
    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    complete: bool = False
    error: Exception | None = None
    ended_at: float | None = None
    given_up: bool = False
    progress: SimpleQueue[Row] = field(default_factory=SimpleQueue)

    @cached_property
    def image_hash(self) -> bytes | None:
        """A hash of the image's pixels and of the adapter that sees them, None without an image."""
        if self.pixel_values is None:
            return None
        digest = blake2b(self.pixel_values.numpy().data)
        digest.update(self.adapter.encode())
        return digest.digest()

    def write(self, token: int, probability: float, end_token: int) -> None:
        """Append the next token, which may end the row."""
        if token == end_token:
            self.complete = True
        else:
            self.probabilities.append(probability)  # first: readers of `tokens` expect it
            self.tokens.append(token)
        if self.complete or self.given_up or len(self.tokens) == self.max_new_tokens:
            self.end()
        else:
            self.progress.put(self)

    def draft(self) -> list[int]:
        """Return likely next tokens: those after the last token in `copied`, or else its beginning.

        Among several places, prefer one whose preceding token matches as well.
        """
        places = [place for place, token in enumerate(self.copied) if token == self.tokens[-1]]
        start = places[0] + 1 if places else 0
        for place in places:
            if place and len(self.tokens) > 1 and self.copied[place - 1] == self.tokens[-2]:
                start = place + 1
        return list(self.copied[start : start + DRAFT])

    def end(self, error: Exception | None = None) -> None:
        """End the row, with the error that it failed with if any."""
        self.error = error
        self.ended_at = time.perf_counter()
        self.progress.put(self)


class BatchDecoder:
    """Decodes rows for any number of threads."""

    def __init__(
        self, model: MiniGPTv2ForConditionalGeneration, end_token: int, adapters: Adapters | None = None
    ) -> None:
        self._model = model
        self._end_token = end_token
        self._adapters = adapters or Adapters()
        self._prefixes = PrefixCache()
        self._prepared = False
        self._lock = threading.Lock()  # guards the two below
        self._waiting: deque[Row] = deque()
        self._working = False

    def decode(self, rows: Sequence[Row]) -> Generator[Row | None, None, None]:
        """Decode rows; yield each as it grows, and None now and then while nothing happens.

        Closing the iterator early gives up the unfinished rows.

        Raises:
            Exception: the error that a row failed with.
        """
        progress: SimpleQueue[Row] = SimpleQueue()
        for row in rows:
            row.progress = progress
        unfinished = set(rows)
        try:
            self._submit(rows)
            while unfinished:
                try:
                    row = progress.get(timeout=_POLL_SECONDS)
                except Empty:
                    yield None
                    continue
                if row.error:
                    raise readable(row.error)
                if row.ended_at is not None:
                    unfinished.discard(row)
                yield row
        finally:
            for row in rows:
                row.given_up = True

    def _submit(self, rows: Sequence[Row]) -> None:
        with self._lock:
            self._waiting.extend(rows)
            if not self._working:
                threading.Thread(target=self._work, name="decoder").start()
                self._working = True

    @torch.inference_mode()
    def _work(self) -> None:
        batch: _Batch | None = None
        running: list[Row] = []
        while (newcomers := self._newcomers(running)) or running:
            try:
                batch = batch or self._new_batch()
                with self._adapters.at_work((running or newcomers)[0].adapter):
                    for row in self._cached_first(newcomers):
                        batch.add(row)
                    batch.step()
                running = batch.rows
            except Exception as error:  # fails this batch's rows; the worker carries on
                _fail([*running, *newcomers], error)
                batch, running = None, []

    def _new_batch(self) -> _Batch:
        if not self._prepared:
            prepare(self._model)
            self._prepared = True
        return _Batch(self._model, self._prefixes, self._end_token)

    def _newcomers(self, running: Sequence[Row]) -> list[Row]:
        """Return the rows that join next, of one adapter; if none joins and none runs, the worker ends."""
        with self._lock:
            self._waiting = deque(row for row in self._waiting if not row.given_up)
            joining: list[Row] = []
            while self._waiting and len(running) + len(joining) < MAX_ROWS:
                if self._waiting[0].adapter != [*running, *joining, self._waiting[0]][0].adapter:
                    break
                joining.append(self._waiting.popleft())
            self._working = bool(running or joining)
            return joining

    def _cached_first(self, rows: list[Row]) -> list[Row]:
        """Put rows whose image is cached first: they take a fraction of the time."""
        return sorted(rows, key=lambda row: not self._prefixes.has_image(row.image_hash))


class _Batch:
    """Rows that decode together, each in the slot of its index."""

    def __init__(
        self, model: MiniGPTv2ForConditionalGeneration, prefixes: PrefixCache, end_token: int
    ) -> None:
        self._model = model
        self._prefixes = prefixes
        self._end_token = end_token
        self._slots = Slots(model.config.get_text_config(), model.device, model.dtype)
        self._lengths: list[int] = []  # of the rows' tokens in the slots
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Prefill a prompt and write its first token; a faulty prompt fails only its own row."""
        try:
            if row.search is not None:
                self._search(row, row.search)
                return
            logits = self._prefill(row)
        except Exception as error:
            _fail([row], error)
            return
        self.rows.append(row)
        self._lengths.append(len(row.input_ids))
        self._write(logits, [row], [[]])
        if row.ended_at is None:
            self._keep_prefix(len(self.rows) - 1)
        self._drop_ended()

    def _search(self, row: Row, search: BeamSearch) -> None:
        """Write the whole answer that a search finds, while the other rows wait."""
        pixels, device = row.pixel_values, self._model.device
        ids, pixels = row.input_ids[None].to(device), None if pixels is None else pixels.to(device)
        prompt = self._model.embed(ids, pixels)
        for token, probability in search.find(
            self._model, prompt, row.max_new_tokens, self._end_token, lambda: row.given_up
        ):
            row.write(token, probability, self._end_token)
            if row.ended_at is not None:
                return
        row.end()

    def _prefill(self, row: Row) -> torch.Tensor:
        """Compute the prompt from where no cached one agrees; return the last logits (1, 1, vocabulary)."""
        slot, device = len(self.rows), self._model.device
        prefix = self._prefixes.longest(row.image_hash, row.input_ids)
        if prefix:
            known = len(prefix)
            self._slots.write(slot, prefix.states)
        else:
            known = self._text(row)
            if row.pixel_values is not None:
                features = self._model.get_image_features(row.pixel_values.to(device))
                self._extend(slot, 0, row.input_ids[:known], features)
        return self._extend(slot, known, row.input_ids[known:])

    def _text(self, row: Row) -> int:
        """Return where the text after the image begins, 0 without an image."""
        if row.pixel_values is None:  # a text-only model has no image token
            return 0
        places = (row.input_ids == self._model.config.image_token_id).nonzero()
        return int(places[-1]) + 1 if len(places) else 0

    def _extend(
        self, slot: int, start: int, ids: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Run tokens (length) from a place on; return the last one's logits (1, 1, vocabulary)."""
        embeddings = self._model.embed_with_features(ids[None].to(self._model.device), features)
        return self._forward(slot, [start], len(ids), 1, inputs_embeds=embeddings)

    def step(self) -> None:
        """Write the next tokens of each row."""
        if not self.rows:
            return
        drafts = self._drafts()
        width = 1 + len(drafts[0])
        last = [row.tokens[-1:] + draft for row, draft in zip(self.rows, drafts, strict=True)]
        ids = torch.tensor(last, device=self._model.device)
        logits = self._forward(0, self._lengths, width, width, input_ids=ids)
        written = self._write(logits, self.rows, drafts)
        self._lengths = [length + count for length, count in zip(self._lengths, written, strict=True)]
        self._drop_ended()

    def _drafts(self) -> list[list[int]]:
        """Return a draft for each row, all cut to the length of the shortest."""
        drafts = [row.draft() if row.copied else [] for row in self.rows]
        width = min(map(len, drafts))
        return [draft[:width] for draft in drafts]

    def _forward(
        self, slot: int, starts: Sequence[int], steps: int, kept: int, **inputs: torch.Tensor
    ) -> torch.Tensor:
        """Run `steps` tokens a row, in the slots from `slot`; return the last `kept` logits of each."""
        positions, mask = self._slots.aim(slot, starts, steps)
        output = self._model(
            **inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._slots,
            use_cache=True,
            logits_to_keep=kept,
        )
        logits: torch.Tensor = output.logits[:, -kept:].float()
        return logits

    def _write(self, logits: torch.Tensor, rows: Sequence[Row], drafts: list[list[int]]) -> list[int]:
        """Write the likeliest tokens of logits (rows, 1 + draft, vocabulary); return how many each row got.

        A row gets its draft as far as the model agrees with it, and one token more.
        """
        best = logits.softmax(-1).max(-1)
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        counts = []
        for row, draft, of_row, (tokens, probabilities) in zip(rows, drafts, logits, found, strict=True):
            counts.append(0)
            for place, (token, probability) in enumerate(zip(tokens, probabilities, strict=True)):
                if row.chooser is not None:
                    token, probability = row.chooser.likeliest(row.tokens, of_row[place])
                row.write(token, probability, self._end_token)
                counts[-1] += 1
                if row.ended_at is not None or place == len(draft) or token != draft[place]:
                    break
        return counts

    def _drop_ended(self) -> None:
        """Cache ended rows, and let the last rows take their slots."""
        for index in reversed(range(len(self.rows))):
            if self.rows[index].ended_at is None:
                continue
            self._keep_prefix(index)
            row, length = self.rows.pop(), self._lengths.pop()
            if index < len(self.rows):
                self._slots.move(len(self.rows), index)
                self.rows[index], self._lengths[index] = row, length

    def _keep_prefix(self, index: int) -> None:
        """Cache the keys and values of a row, if it has an image."""
        row, length = self.rows[index], self._lengths[index]
        if row.image_hash is not None:
            ids = torch.cat([row.input_ids, torch.tensor(row.tokens, dtype=torch.long)])[:length]
            ends = self._text(row), len(row.input_ids), length
            self._prefixes.add(Prefix(row.image_hash, ids, self._slots.read(index, length), ends))


def _fail(rows: Sequence[Row], error: Exception) -> None:
    for row in rows:
        if row.ended_at is None:
            row.end(error)
