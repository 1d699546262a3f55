"""The model in this process, through transformers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import LogitsProcessor, LogitsProcessorList, TextIteratorStreamer

from ..answers import Generation, Request
from ..errors import WeightsError
from ..grounding import find_boxes, parse, with_scores
from ..modeling import MiniGPTv2ForConditionalGeneration
from ..presets import PRESETS, Preset
from ..processing import MiniGPTv2Processor
from .base import GenerationListener


class LocalEngine:
    """Greedy decoding in batches; one batch runs at a time."""

    def __init__(
        self, name: str, model: MiniGPTv2ForConditionalGeneration, processor: MiniGPTv2Processor
    ) -> None:
        self._name = name
        self.model = model.eval()
        self.processor = processor
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @classmethod
    def load(cls, model: str) -> LocalEngine:
        """Load a model by preset name, from an adapter's folder, or from a whole model's folder.

        Raises:
            WeightsError: there is no such model, or its weights are missing or not its own.
        """
        folder = Path(model)
        if model in PRESETS:
            return cls._adapted(model, PRESETS[model], PRESETS[model].adapter)
        if (folder / "adapter_config.json").is_file():
            return cls._adapted(model, PRESETS[_base_of(folder)], folder)
        if (folder / "config.json").is_file():
            return cls(model, load_model(folder), MiniGPTv2Processor.from_pretrained(folder))
        raise WeightsError(
            f"no model {model!r}: name one of {', '.join(PRESETS)}, or a folder with an adapter or a model"
        )

    @classmethod
    def _adapted(cls, name: str, preset: Preset, adapter: Path) -> LocalEngine:
        from ..training.adapter import load_adapter
        from ..weights import base_model

        base = base_model(preset)
        adapted = load_adapter(load_model(base), adapter)
        return cls(name, adapted.merge_and_unload(), MiniGPTv2Processor.from_pretrained(base))

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer a batch; the batch decodes until its longest answer ends."""
        if not requests:
            return []
        start = time.perf_counter()
        batch = self._batch(requests)
        probabilities = _ChosenProbabilities()
        longest = max(request.max_new_tokens for request in requests)
        with self._lock, torch.inference_mode():
            output = self.model.generate(
                **batch,
                do_sample=False,
                max_new_tokens=longest,
                logits_processor=LogitsProcessorList([probabilities]),
                stopping_criteria=[self._told(listener, batch["input_ids"].shape[1])] if listener else [],
            )
        new = output[:, batch["input_ids"].shape[1] :].tolist()
        seconds = time.perf_counter() - start
        rows = zip(requests, new, probabilities.rows(), strict=True)
        return [self._read(ids[: request.max_new_tokens], chosen, seconds) for request, ids, chosen in rows]

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer as it is decoded; leaving the iterator early stops the decoding."""
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        stop = _StopRequest()
        failure: list[Exception] = []

        def decode() -> None:
            try:
                with self._lock, torch.inference_mode():
                    self.model.generate(
                        **self._batch([request]),
                        do_sample=False,
                        max_new_tokens=request.max_new_tokens,
                        streamer=streamer,
                        stopping_criteria=[stop],
                    )
            except Exception as error:  # handed to the thread that reads
                failure.append(error)
                streamer.end()

        thread = threading.Thread(target=decode, daemon=True)
        thread.start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            stop.requested = True
            thread.join()
        if failure:
            raise failure[0]

    def _told(self, listener: GenerationListener, start: int) -> Callable[..., torch.Tensor]:
        """Return a stopping criterion that tells the listener what was written behind position `start`."""

        def tell(input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
            for index, ids in enumerate(input_ids[:, start:].tolist()):
                listener.heard(index, self.processor.decode_answer(ids))
            return torch.full((input_ids.shape[0],), listener.wants_stop(), device=input_ids.device)

        return tell

    def _batch(self, requests: Sequence[Request]) -> dict[str, torch.Tensor]:
        room = self.model.config.text_config.max_position_embeddings
        batch = self.processor(
            [request.image for request in requests],
            [request.turns for request in requests],
            max_length=room - max(request.max_new_tokens for request in requests),
        )
        return {name: tensor.to(self.model.device) for name, tensor in batch.items()}

    def _read(self, ids: list[int], chosen: list[float], seconds: float) -> Generation:
        tokenizer = self.processor.tokenizer
        complete = tokenizer.eos_token_id in ids
        ids = ids[: ids.index(tokenizer.eos_token_id)] if complete else ids
        text = tokenizer.decode(ids, skip_special_tokens=True)
        offset = len(text) - len(text.lstrip())
        ends = [
            len(tokenizer.decode(ids[: i + 1], skip_special_tokens=True)) - offset for i in range(len(ids))
        ]
        text = text.strip()
        scores = [_score(text, span.start, span.end, ends, chosen) for span in find_boxes(text)]
        return Generation(with_scores(parse(text), scores), seconds, complete)


class _ChosenProbabilities(LogitsProcessor):
    """Notes the probability of the likeliest token at every step, which greedy decoding takes."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, _: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._steps.append(scores.float().softmax(-1).amax(-1))
        return scores

    def rows(self) -> list[list[float]]:
        """Return the probabilities of each row of the batch, step by step."""
        return torch.stack(self._steps, dim=1).tolist()


class _StopRequest:
    """A stopping criterion that another thread can pull."""

    requested = False

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.requested, device=input_ids.device)


def load_model(folder: Path, **options: object) -> MiniGPTv2ForConditionalGeneration:
    """Load a whole model in the precision that this machine is quick at.

    Raises:
        WeightsError: the folder cannot be read, or a weight is missing or has no place.
    """
    from ..conversion import require_all_keys

    try:
        model, report = MiniGPTv2ForConditionalGeneration.from_pretrained(
            folder, dtype=_quick_precision(), output_loading_info=True, **options
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise WeightsError(
            f"{folder} cannot be read: {_first_line(error)}; delete it and fetch or copy the model again"
        ) from error
    require_all_keys(report, folder)
    placed: MiniGPTv2ForConditionalGeneration = model.to("cuda" if torch.cuda.is_available() else "cpu")
    return placed


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _quick_precision() -> torch.dtype:
    if torch.cuda.is_available():
        return torch.bfloat16
    # The question is only known where torch is built with oneDNN, which it is not on a Mac.
    quick = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if quick else torch.float32


def _base_of(adapter: Path) -> str:
    import json

    path = adapter / "adapter_config.json"
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; copy the adapter again") from error
    if base not in PRESETS:
        raise WeightsError(f"{adapter} is an adapter for {base!r}, which is none of {', '.join(PRESETS)}")
    return str(base)


def _score(text: str, start: int, end: int, ends: list[int], chosen: list[float]) -> float:
    """Return the geometric mean of the probabilities of the tokens that spell a box's coordinates."""
    begins = [0, *ends[:-1]]
    spelling = [
        probability
        for begin, stop, probability in zip(begins, ends, chosen, strict=False)
        if stop > start
        and begin < end
        and any(sign.isdigit() for sign in text[max(begin, start) : min(stop, end)])
    ]
    logs = torch.tensor(spelling).log()
    return float(logs.mean().exp()) if spelling else 0.0


__all__ = ["LocalEngine", "load_model"]
