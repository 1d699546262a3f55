"""Measure training: samples and tokens per second, and the gain of each optimisation.

    python benchmarks/training.py --data FOLDER --out benchmarks/results/training.json
    python benchmarks/training.py --shape nano --shape 7b --out benchmarks/results/training-gpu.json

With `--data`, trains nano on annotated photos in four ways: one image per sample; samples that share their
image's tokens; batches of similar length; compiled layers. With `--shape`, trains a model of that shape with
random weights on random tokens, for instance on a GPU, and reports peak memory and model FLOP utilisation
(the FLOPs of a step without recomputation, counted by torch, over the device's peak). `tiny` tries the
script. Run it on an idle machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch
from figures import arguments, publish
from peft import PeftModel
from shapes import SHAPES, Shape, peak_flops, random_model
from torch.utils.flop_counter import FlopCounterMode

from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter
from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator, shared_prefix_mask
from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.data.lengths import LengthBuckets
from assistant.vlm.data.mixture import Example, open_mixture
from assistant.vlm.engine.local import load_model
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.models.weights import base_model
from assistant.vlm.training.compilation import compile_layers

PICTURES = 4
STEPS = 10
# The first steps prepare kernels; compiled layers compile for one length, then for any.
WARM_UP = 2
Batch = dict[str, torch.Tensor]
Counted = tuple[Batch, int]
"""A batch and its number of samples."""


class Learner:
    """A model with a new adapter that takes training steps."""

    def __init__(self, model: MiniGPTv2ForConditionalGeneration, adapter: AdapterConfig) -> None:
        self.model: PeftModel = add_adapter(model, adapter).train()
        self.device = model.device.type
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def step(self, batch: Batch) -> None:
        """Take one step and wait until it is done."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            loss = self.model(**batch, answers_only=True, use_cache=False).loss
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()

    def rates(self, warm_up: Iterable[Counted], measured: Iterable[Counted]) -> dict[str, float]:
        """Return samples and tokens per second over batches."""
        for batch, _ in warm_up:
            self.step(batch)
        steps: list[float] = []
        samples = tokens = 0
        for batch, count in measured:
            start = time.perf_counter()
            self.step(batch)
            steps.append(time.perf_counter() - start)
            samples, tokens = samples + count, tokens + _tokens(batch)
        return {
            "samples_per_second": round(samples / sum(steps), 2),
            "tokens_per_second": round(tokens / sum(steps), 1),
            "seconds_per_step": round(statistics.median(steps), 4),
        }


def measure_ways(data: Path) -> dict[str, object]:
    """Measure nano on photos in the four ways."""
    folder = base_model(PRESETS["nano"])
    learner = Learner(load_model(folder, attn_implementation="eager"), AdapterConfig())
    collate = SharedImageCollator(MiniGPTv2Processor.load(folder))
    count = STEPS * PICTURES
    mixture = open_mixture(data, "train", MixtureConfig(), count, seed=0)

    def batches(order: Iterable[int], *, apart: bool = False) -> Iterable[Counted]:
        indices = iter(order)
        while chosen := [mixture[index] for index in islice(indices, PICTURES)]:
            examples = [one for example in chosen for one in _apart(example)] if apart else chosen
            yield _collated(collate, examples)

    # The stream is endless: examples after the measured ones are new.
    others = range(count, count + WARM_UP * PICTURES)
    buckets = LengthBuckets(mixture, PICTURES, seed=0)
    ways = {
        "one_by_one": learner.rates(batches(others, apart=True), batches(range(count // 2), apart=True)),
        "shared_pictures": learner.rates(batches(others), batches(range(count))),
        "shared_pictures_buckets": learner.rates(batches(others), batches(buckets)),
    }
    compile_layers(learner.model, print)
    ways["shared_pictures_buckets_compiled"] = learner.rates(batches(others), batches(buckets))
    return {"pictures_per_step": PICTURES, "steps": STEPS, "ways": ways}


def measure_shape(name: str) -> dict[str, object]:
    """Measure throughput, peak memory and model FLOP utilisation of a shape on the best device."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = SHAPES[name]
    model = random_model(name, device)
    learner = Learner(model, shape.adapter)
    batch = {key: tensor.to(device) for key, tensor in _random_batch(model.config, shape).items()}
    with FlopCounterMode(display=False) as counter:
        learner.step(batch)
    flops = counter.get_total_flops()
    if device == "cuda":
        compile_layers(learner.model, print)
        torch.cuda.reset_peak_memory_stats()
    counted = (batch, shape.pictures * shape.samples)
    rates = learner.rates([counted] * WARM_UP, [counted] * STEPS)
    peak = peak_flops(device)
    return {
        **rates,
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "pictures_per_step": shape.pictures,
        "visual_tokens": model.config.image_tokens,
        "teraflop_per_step": round(flops / 1e12, 6),
        "model_flop_utilisation": peak and round(flops / rates["seconds_per_step"] / peak, 4),
        "peak_memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if device == "cuda" else None,
    }


def _random_batch(config: MiniGPTv2Config, shape: Shape) -> Batch:
    """Return a batch like the collator's: each image, then its samples, which attend to it and themselves."""
    length = config.image_tokens + shape.samples * shape.tokens
    text = torch.randint(3, config.text_config.vocab_size, (shape.pictures, length))
    visual = torch.arange(length) < config.image_tokens
    within = (torch.arange(length) - config.image_tokens) % shape.tokens
    group = torch.where(visual, 0, 1 + (torch.arange(length) - config.image_tokens) // shape.tokens)
    learnt = ~visual & (within >= shape.tokens // 2)
    positions = torch.where(visual, torch.arange(length), config.image_tokens + within)
    ids = torch.where(visual, torch.tensor(config.image_token_id), text)
    return {
        "input_ids": ids,
        "labels": torch.where(learnt, ids, -100),
        "position_ids": positions.expand_as(ids).contiguous(),
        "attention_mask": shared_prefix_mask(group.expand_as(ids)),
        "pixel_values": torch.randn(shape.pictures, 3, config.image_size, config.image_size),
    }


def _collated(collate: SharedImageCollator, examples: Sequence[Example]) -> Counted:
    batch = collate(examples)
    del batch["tasks"]
    return batch, sum(len(example.samples) for example in examples)


def _apart(example: Example) -> list[Example]:
    return [Example(example.image, [sample]) for sample in example.samples]


def _tokens(batch: Batch) -> int:
    """Count the tokens of a batch without padding, which is at position 0 like the first token of a row."""
    return int((batch["position_ids"] > 0).sum()) + len(batch["input_ids"])


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, help="a folder of annotated photos")
    parser.add_argument("--shape", choices=SHAPES, action="append", default=[], help="random weights")
    options = parser.parse_args()
    if not options.data and not options.shape:
        parser.error("give --data, --shape, or both")
    figures: dict[str, object] = {"threads": torch.get_num_threads()}
    if options.data:
        figures |= measure_ways(options.data)
    if options.shape:
        figures["shapes"] = {name: measure_shape(name) for name in options.shape}
    publish(figures, options.out)


if __name__ == "__main__":
    main()
