"""Greedy decoding with continuous batching: requests join and leave the batch at any token.

One worker thread runs the model, and only while there is work. Requests join first come, first served, so
that none waits for a longer answer to end; a finished row leaves the batch at once. Everything that a caller
brings along, such as a listener, runs in the caller's own thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from queue import Empty, SimpleQueue

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from ..modeling import MiniGPTv2ForConditionalGeneration
from .constraint import Chooser
from .prefix_cache import KeysAndValues, Prefix, PrefixCache

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
    each token, and `copied` holds tokens that the answer is likely to repeat. Only the worker writes
    `tokens`, their `probabilities`, and how the row ended: `complete` if the model ended the answer, else
    cut at `max_new_tokens`, given up by its caller, or failed with `error`.
    """

    input_ids: torch.Tensor
    pixel_values: torch.Tensor | None
    max_new_tokens: int
    chooser: Chooser | None = None
    copied: Sequence[int] = ()
    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    complete: bool = False
    error: Exception | None = None
    ended_at: float | None = None
    given_up: bool = False
    progress: SimpleQueue[Row] = field(default_factory=SimpleQueue)

    @cached_property
    def image_hash(self) -> bytes | None:
        """A hash of the image's pixels, None without an image."""
        return None if self.pixel_values is None else blake2b(self.pixel_values.numpy().tobytes()).digest()

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

    def __init__(self, model: MiniGPTv2ForConditionalGeneration, end_token: int) -> None:
        self._model = model
        self._end_token = end_token
        self._prefixes = PrefixCache()
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
                    raise row.error
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
        while (newcomers := self._newcomers(len(running))) or running:
            try:
                batch = batch or self._new_batch()
                for group in self._split_by_cached_image(newcomers):
                    for joining in self._prefilled(group):
                        batch.join(joining)
                batch.step()
                running = batch.rows
            except Exception as error:  # fails this batch's rows; the worker carries on
                _fail([*running, *newcomers], error)
                batch, running = None, []

    def _new_batch(self) -> _Batch:
        return _Batch(self._model, self._prefixes, self._end_token)

    def _newcomers(self, running: int) -> list[Row]:
        """Return the rows that join next; if none joins and none runs, the worker ends."""
        with self._lock:
            self._waiting = deque(row for row in self._waiting if not row.given_up)
            count = min(len(self._waiting), MAX_ROWS - running)
            self._working = bool(running or count)
            return [self._waiting.popleft() for _ in range(count)]

    def _split_by_cached_image(self, rows: list[Row]) -> list[list[Row]]:
        """Separate rows whose image is cached, which take a fraction of the time, from the others."""
        cached = [row for row in rows if self._prefixes.has_image(row.image_hash)]
        return [cached, [row for row in rows if row not in cached]]

    def _prefilled(self, rows: list[Row]) -> Iterator[_Batch]:
        """Prefill the prompts together; if that fails, one by one, so that only the faulty row fails."""
        if not rows:
            return
        try:
            batch = self._new_batch()
            batch.prefill(rows)
        except Exception as error:
            if len(rows) == 1:
                _fail(rows, error)
            else:
                for row in rows:
                    yield from self._prefilled([row])
        else:
            yield batch


class _Batch:
    """Rows that decode together: keys and values padded on the left, `mask` (rows, length) 0 on padding."""

    def __init__(
        self, model: MiniGPTv2ForConditionalGeneration, prefixes: PrefixCache, end_token: int
    ) -> None:
        self._model = model
        self._prefixes = prefixes
        self._end_token = end_token
        self._cache = DynamicCache()
        self._mask = torch.empty((0, 0), dtype=torch.long, device=model.device)
        self.rows: list[Row] = []

    def prefill(self, rows: list[Row]) -> None:
        """Prefill prompts, of which all or none have a cached prefix, and write the first token of each."""
        prefixes = [it for row in rows if (it := self._prefixes.longest(row.image_hash, row.input_ids))]
        known = [len(prefix) for prefix in prefixes] or [0] * len(rows)
        rests = [row.input_ids[length:] for row, length in zip(rows, known, strict=True)]
        mask = torch.cat([_left_padded(known), _left_padded([len(rest) for rest in rests])], 1)
        self._mask = mask.to(self._model.device)
        if prefixes:
            self._cache = DynamicCache(_stacked([prefix.layers for prefix in prefixes]))
        ids = pad_sequence(rests, batch_first=True, padding_value=self._end_token, padding_side="left")
        features = None if prefixes else self._features(rows)
        embeddings = self._model.embed_with_features(ids.to(self._model.device), features)
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)[:, max(known) :]
        self._forward(rows, positions, [[] for _ in rows], inputs_embeds=embeddings)
        self._cache_prefixes(range(len(self.rows)))

    def _features(self, rows: list[Row]) -> torch.Tensor | None:
        """Encode each image once; return the visual tokens of the rows that have one, in their order."""
        pixels = {row.image_hash: row.pixel_values for row in rows if row.pixel_values is not None}
        if not pixels:
            return None
        images = torch.cat(list(pixels.values())).to(self._model.device)
        features = dict(zip(pixels, self._model.get_image_features(images), strict=True))
        return torch.stack([features[row.image_hash] for row in rows if row.image_hash is not None])

    def step(self) -> None:
        """Write the next token of each row."""
        if not self.rows:
            return
        drafts = self._drafts()
        width = 1 + len(drafts[0])
        steps = torch.arange(width, device=self._model.device)
        positions = self._mask.sum(1, keepdim=True) + steps
        self._mask = pad(self._mask, (0, width), value=1)
        last = [row.tokens[-1:] + draft for row, draft in zip(self.rows, drafts, strict=True)]
        ids = torch.tensor(last, device=self._model.device)
        self._forward(self.rows, positions, drafts, input_ids=ids)

    def _drafts(self) -> list[list[int]]:
        """Return a draft for each row, all cut to the length of the shortest."""
        drafts = [row.draft() if row.copied else [] for row in self.rows]
        width = min(map(len, drafts))
        return [draft[:width] for draft in drafts]

    def join(self, other: _Batch) -> None:
        """Add the rows of another batch."""
        if not self.rows:
            self.rows, self._mask, self._cache = other.rows, other._mask, other._cache
        elif other.rows:
            length = max(self._mask.shape[1], other._mask.shape[1])
            self._cache = DynamicCache(_stacked([self._layers(), other._layers()]))
            masks = [pad(batch._mask, (length - batch._mask.shape[1], 0)) for batch in (self, other)]
            self._mask = torch.cat(masks)
            self.rows += other.rows

    def _forward(
        self, rows: list[Row], positions: torch.Tensor, drafts: list[list[int]], **inputs: torch.Tensor
    ) -> None:
        width = 1 + len(drafts[0])
        output = self._model(
            **inputs,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=width,
        )
        self.rows = rows
        written = self._write(output.logits[:, -width:].float(), drafts)
        self._drop_rejected(width, written)
        self._keep_rows([index for index, row in enumerate(rows) if row.ended_at is None])

    def _write(self, logits: torch.Tensor, drafts: list[list[int]]) -> list[int]:
        """Write the likeliest tokens of logits (rows, 1 + draft, vocabulary); return how many each row got.

        A row gets its draft as far as the model agrees with it, and one token more.
        """
        best = logits.softmax(-1).max(-1)
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        counts = []
        for row, draft, of_row, (tokens, probabilities) in zip(self.rows, drafts, logits, found, strict=True):
            counts.append(0)
            for place, (token, probability) in enumerate(zip(tokens, probabilities, strict=True)):
                if row.chooser is not None:
                    token, probability = row.chooser.likeliest(row.tokens, of_row[place])
                row.write(token, probability, self._end_token)
                counts[-1] += 1
                if row.ended_at is not None or place == len(draft) or token != draft[place]:
                    break
        return counts

    def _drop_rejected(self, width: int, written: list[int]) -> None:
        """Drop rejected draft tokens of the last pass, over `width` tokens a row, from the cache."""
        if width == 1:
            return
        surplus = width - max(written)
        if surplus:
            self._mask = self._mask[:, :-surplus]
            self._cache = DynamicCache(
                [(keys[:, :, :-surplus], values[:, :, :-surplus]) for keys, values in self._layers()]
            )
        for index, count in enumerate(written):
            self._mask[index, self._mask.shape[1] - max(written) + count :] = 0

    def _keep_rows(self, staying: list[int]) -> None:
        """Drop all other rows, and the padding that only they needed."""
        if len(staying) == len(self.rows):
            return
        self._cache_prefixes(set(range(len(self.rows))) - set(staying))
        self.rows = [self.rows[index] for index in staying]
        if self.rows:
            mask = self._mask[staying]
            start = int(mask.any(0).int().argmax())
            self._mask = mask[:, start:]
            self._cache = DynamicCache(
                [(keys[staying, :, start:], values[staying, :, start:]) for keys, values in self._layers()]
            )

    def _cache_prefixes(self, indices: Iterable[int]) -> None:
        """Keep the keys and values of some of the rows, if they have an image."""
        for index in indices:
            row, places = self.rows[index], self._mask[index].bool()
            if row.image_hash is None:
                continue
            ids = torch.cat([row.input_ids, torch.tensor(row.tokens, dtype=torch.long)])
            layers = [
                (keys[index, None, :, places], values[index, None, :, places])
                for keys, values in self._layers()
            ]
            self._prefixes.add(Prefix(row.image_hash, ids[: int(places.sum())], layers))

    def _layers(self) -> list[KeysAndValues]:
        return [(layer.keys, layer.values) for layer in self._cache.layers]


def _left_padded(lengths: Sequence[int]) -> torch.Tensor:
    """Return the mask (rows, longest) of rows of these lengths, 0 on the padding to their left."""
    longest = max(lengths)
    return (torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]).long()


def _stacked(caches: Sequence[Sequence[KeysAndValues]]) -> list[KeysAndValues]:
    """Return the layers of several caches as one, padded on the left to the longest."""
    longest = max(cache[0][0].shape[2] for cache in caches)
    layers = []
    for parts in zip(*caches, strict=True):
        keys, values = (
            torch.cat([pad(each, (0, 0, longest - each.shape[2], 0)) for each in kind])
            for kind in zip(*parts, strict=True)
        )
        layers.append((keys, values))
    return layers


def _fail(rows: Sequence[Row], error: Exception) -> None:
    for row in rows:
        if row.ended_at is None:
            row.end(error)


__all__ = ["DRAFT", "MAX_ROWS", "BatchDecoder", "Row"]
