"""How quick training is: samples a second with a picture's samples sharing its tokens, and one by one.

    python benchmarks/training.py --data FOLDER --out benchmarks/results/training.json

Both ways are measured side by side on the same samples. Run it on an idle machine.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from figures import arguments, publish

from assistant.vlm.data.collator import SharedPictureCollator
from assistant.vlm.data.mixture import Example, MixtureConfig, open_mixture
from assistant.vlm.engine.local import load_model
from assistant.vlm.presets import PRESETS
from assistant.vlm.processing import MiniGPTv2Processor
from assistant.vlm.training.adapter import AdapterConfig, add_adapter
from assistant.vlm.weights import base_model

PICTURES = 4
ROUNDS = 4


def step_seconds(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> float:
    """Return the seconds of one forward and backward pass."""
    start = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(**batch, answers_only=True).loss
    loss.backward()
    return time.perf_counter() - start


def one_by_one(example: Example) -> list[Example]:
    """Return the example's samples as examples of their own."""
    return [Example(example.image, [sample]) for sample in example.samples]


def measure(data: Path) -> dict[str, float]:
    """Return samples a second both ways and their ratio."""
    folder = base_model(PRESETS["nano"])
    model = add_adapter(load_model(folder, attn_implementation="eager"), AdapterConfig()).train()
    collate = SharedPictureCollator(MiniGPTv2Processor.from_pretrained(folder))
    mixture = open_mixture(data, "train", MixtureConfig(), 1000, seed=0)
    shared: list[float] = []
    single: list[float] = []
    for round_ in range(ROUNDS + 1):
        examples = [mixture[round_ * PICTURES + index] for index in range(PICTURES)]
        samples = sum(len(example.samples) for example in examples)
        together = step_seconds(model, collate(examples))
        apart = step_seconds(model, collate([one for example in examples for one in one_by_one(example)]))
        if round_ > 0:  # the first prepares kernels
            shared.append(samples / together)
            single.append(samples / apart)
    rates = statistics.median(shared), statistics.median(single)
    return {
        "samples_per_second_shared": round(rates[0], 2),
        "samples_per_second_one_by_one": round(rates[1], 2),
        "ratio": round(rates[0] / rates[1], 2),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    options = parser.parse_args()
    publish(measure(options.data), options.out)


if __name__ == "__main__":
    main()
