"""Run the model in this process, with transformers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch
from transformers.initialization import no_init_weights

from ..answers import Completion, Continuation, Generation, Request
from ..architecture.adapter import load_adapter
from ..architecture.configuration import MiniGPTv2Config
from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..architecture.processing import MiniGPTv2Processor
from ..calibration import BoxEvidence, Calibration
from ..errors import WeightsError, one_line
from ..folders.reading import ModelFolder, read_model_folder
from ..folders.tensor_files import read_shapes, read_tensors
from ..grounding import BINS, find_boxes, parse, with_scores
from ..models.bases import parts_of, require_base
from ..models.presets import PRESETS
from ..tasks import Segment, SegmentKind, Task, build_prompt
from .adapters import OWN, Adapters
from .base import GenerationListener
from .batching import BatchDecoder, Row
from .completion import Completer
from .generation import chooser_of, options_of, search_of
from .memory import loading
from .placement import Placement
from .precision import default_device, fastest_precision
from .threads import own_thread


class LocalEngine:
    """Greedy decoding by default; concurrent requests, from any thread, share a batch.

    `calibrations` are the adapters', by name, for a `CalibratedEngine` to apply.
    """

    def __init__(
        self,
        name: str,
        model: MiniGPTv2ForConditionalGeneration,
        processor: MiniGPTv2Processor,
        *,
        adapters: Adapters | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
    ) -> None:
        self.calibrations = calibrations or {}
        self._adapters = adapters or Adapters()
        self._name = name
        self.model = model.eval()
        self.processor = processor
        self._defaults = options_of(model.generation_config)
        self._decoder = BatchDecoder(self.model, processor.tokenizer.eos_token_id, self._adapters)
        self._processing = threading.Lock()  # tokenizers are not thread-safe
        self._room = model.config.text_config.max_position_embeddings
        self._completer = Completer(self._decoder, processor.tokenizer, self._processing, self._room)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def plans(self) -> bool:
        """Whether the model was trained to plan: every preset was."""
        return self._name in PRESETS

    @classmethod
    def load(
        cls,
        model: str,
        base: Path | None = None,
        dtype: torch.dtype | None = None,
        *,
        device: str | None = None,
        quantize: str | None = None,
        adapters: Mapping[str, str | Path] | None = None,
    ) -> LocalEngine:
        """Load a model by preset name, from an adapter's folder, or from a whole model's folder.

        `base` is the folder of an adapter's base model, if it was moved; `dtype` is the precision, by
        default the fastest on this machine; `device` and `quantize` are as for a `Placement`. `adapters` are
        folders of adapters over the same base, by the names that requests give.

        Raises:
            WeightsError: there is no such model, its weights are missing or another model's, or there is too
                little memory.
            ValueError: there is no such `device` or `quantize`.
        """
        placement = Placement(device, dtype, quantize)
        whole, own = parts_of(model, base)
        named = {name: Path(folder) for name, folder in (adapters or {}).items()}
        for folder in named.values():
            require_base(folder, whole)
        processor = MiniGPTv2Processor.load(whole)
        folders = ({} if own is None else {OWN: own}) | named
        found = {name: Calibration.load(folder) for name, folder in folders.items()}
        calibrations = {name: it for name, it in found.items() if it is not None}
        placed, switch = own_thread(_placed)(whole, own, named, placement)
        return cls(model, placed, processor, adapters=switch, calibrations=calibrations)

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests in one batch, shared with the requests of other threads."""
        start = time.perf_counter()
        rows = [self._row(request) for request in requests]
        with closing(self._decoder.decode(rows)) as progress:
            for row in progress:
                if listener and row:
                    listener.on_text(rows.index(row), self._text(row.tokens))
                if listener and listener.should_stop():
                    break
        return [self._read(row, start, request.task) for row, request in zip(rows, requests, strict=True)]

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer as it is decoded; closing the iterator early stops the decoding."""
        sent = ""
        with closing(self._decoder.decode([self._row(request)])) as progress:
            for row in progress:
                text = self._text(row.tokens) if row else sent
                if text != sent:
                    yield text[len(sent) :]
                    sent = text

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Continue texts, batched with everything else that is being decoded.

        Raises:
            ValueError: a text is too long for the model.
        """
        return self._completer.complete(completions)

    @own_thread
    @torch.inference_mode()
    def rank(self, request: Request, choices: Sequence[str]) -> list[float]:
        """Return a cost for each choice as the answer, as the reference ranks candidates.

        The cost is the summed cross entropy of the choice's tokens and the end token, divided by the length
        of prompt and choice.
        """
        self._adapters.require(request.adapter)
        image, form = request.image, self.processor.prompt_form
        prompt = build_prompt(request.turns_in(form), image=image is not None, frame=form.asking)
        end = Segment(SegmentKind.END)
        with self._processing:
            rows = [self.processor.encode([*prompt, Segment(SegmentKind.ANSWER, it), end]) for it in choices]
            pixels = None if image is None else self.processor.pixels([image]).to(self.model.device)
        losses = []
        for row in rows:
            ids, labels = (torch.tensor([it], device=self.model.device) for it in (row.input_ids, row.labels))
            with self._adapters.at_work(request.adapter):
                output = self.model(input_ids=ids, pixel_values=pixels, labels=labels, num_items_in_batch=1)
            losses.append(float(output.loss) / (len(row.input_ids) - 1))
        return losses

    def _row(self, request: Request) -> Row:
        self._adapters.require(request.adapter)
        turns, longest = request.turns_in(self.processor.prompt_form), self._longest(request)
        with self._processing:
            prompt = self.processor([request.image], [turns], self._room - longest)
        options = request.options.over(self._defaults)
        return Row(
            prompt["input_ids"][0],
            prompt.get("pixel_values"),
            longest,
            chooser_of(options),
            adapter=request.adapter,
            search=search_of(options),
        )

    def _longest(self, request: Request) -> int:
        """Return an answer's most tokens."""
        asked = request.options.max_new_tokens or self.processor.prompt_form.longest(request.task)
        longest: int = min(asked, self._room // 2)
        return longest

    def _text(self, tokens: list[int]) -> str:
        """Return a partial answer, without an incomplete UTF-8 character at its end."""
        return self.processor.decode_answer(tokens).rstrip("\N{REPLACEMENT CHARACTER}")

    def _read(self, row: Row, start: float, task: Task | None) -> Generation:
        decode, ids = self.processor.tokenizer.decode, row.tokens.copy()  # the worker may append meanwhile
        text = decode(ids, skip_special_tokens=True)
        offset = len(text) - len(text.lstrip())
        ends = [len(decode(ids[: i + 1], skip_special_tokens=True)) - offset for i in range(len(ids))]
        text = text.strip()
        spans = find_boxes(text)
        scores = [_score(text, span.start, span.end, ends, row.probabilities) for span in spans]
        # In these two tasks the first token decides whether the thing is there.
        opening = row.probabilities[0] if task in (Task.REFER, Task.DETECTION) and spans else 1.0
        evidence = tuple(
            BoxEvidence(opening, score, span.box.area / BINS**2)
            for span, score in zip(spans, scores, strict=True)
        )
        seconds = (row.ended_at or time.perf_counter()) - start
        return Generation(with_scores(parse(text), scores), seconds, row.complete, evidence)


def _placed(
    folder: Path, own: Path | None, named: Mapping[str, Path], placement: Placement
) -> tuple[MiniGPTv2ForConditionalGeneration, Adapters]:
    """Load a model onto its device; its own adapter is merged if it is the only one."""
    with loading(read_shapes(read_model_folder(folder).weights), placement.precision, "cpu"):
        model = load_model(folder, placement.precision, device="cpu")
        if own is not None and not named:
            model = load_adapter(model, own).merge_and_unload()
    placed = placement.put(model)
    return placed, Adapters.over(placed, own, named) if named else Adapters()


def load_model(
    folder: Path, dtype: torch.dtype | None = None, *, device: str | None = None, **options: object
) -> MiniGPTv2ForConditionalGeneration:
    """Load a whole model, by default in the fastest precision on this machine, on its fastest device.

    transformers gets checked settings and tensors, never the folder: it ignores the other files there.

    Raises:
        WeightsError: a setting or a weight is missing, unexpected or invalid.
    """
    from ..models.conversion import require_all_keys

    checked = read_model_folder(folder)
    config = _configuration(checked)
    _require_fit(checked, config)
    model, report = MiniGPTv2ForConditionalGeneration.from_pretrained(
        None,
        config=config,
        state_dict=read_tensors(checked.weights),
        dtype=dtype or fastest_precision(device),
        output_loading_info=True,
        trust_remote_code=False,
        **options,
    )
    require_all_keys(report, folder)
    model.generation_config.update(**checked.generation.given())
    model.name_or_path = model.config.name_or_path = str(folder)  # PEFT would look for it elsewhere
    placed: MiniGPTv2ForConditionalGeneration = model.to(device or default_device())
    return placed


def _configuration(checked: ModelFolder) -> MiniGPTv2Config:
    """Build the configuration from checked settings; transformers checks that they agree."""
    try:
        return MiniGPTv2Config(**checked.config.given())
    except Exception as error:  # the type depends on the part that disagrees
        path = checked.path / "config.json"
        raise WeightsError(f"{path}: {one_line(error)}; copy the folder again") from error


def _require_fit(checked: ModelFolder, config: MiniGPTv2Config) -> None:
    """Check that the weights have the shapes of the settings, before allocating memory for either."""
    path = checked.path / "config.json"
    try:
        with torch.device("meta"), no_init_weights():
            model = MiniGPTv2ForConditionalGeneration(config)
    except Exception as error:  # the type depends on the part that cannot be built
        raise WeightsError(f"{path}: no such model can be built: {one_line(error)}") from error
    tied = model.all_tied_weights_keys
    wanted = {name: tuple(it.shape) for name, it in model.state_dict().items() if name not in tied}
    held = read_shapes(checked.weights)
    for name in sorted(wanted.keys() & held.keys()):
        if wanted[name] != held[name]:
            raise WeightsError(
                f"{path}: the settings want {name} as {wanted[name]}, the weights are {held[name]}; "
                "copy the folder again"
            )
    # The towers' weights may have the names of another release of transformers.
    if sum(map(math.prod, wanted.values())) > sum(map(math.prod, held.values())):
        raise WeightsError(f"{path}: the settings want more weights than there are; copy the folder again")


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
