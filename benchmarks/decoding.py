"""Measure vision encoding and decoding against the device's floors, with random weights.

    python benchmarks/decoding.py --shape nano --shape 7b --out benchmarks/results/decoding-gpu.json

Three ways to decode get prompts of one image and a few words, and write a fixed number of tokens:

- `generate`: transformers' `generate`, as it is called without options;
- `static`: `generate` with a static cache, which transformers compiles into CUDA graphs on a GPU;
- `engine`: the engine's continuous batching, up to its row limit at once.

A step of decoding reads each weight of the language model once, so the bandwidth floor of a single stream is
their bytes over the device's memory bandwidth. `share_of_floor` is that floor over the measured time of a
token: at most 1. Encoding an image is bound by arithmetic: `share_of_peak` is its FLOPs, counted by
torch, over the time and the device's matrix product rate. Both rates are measured in the same run.
`tiny` tries the script.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from figures import arguments, publish
from shapes import SHAPES, peak_flops, random_model
from torch.utils.flop_counter import FlopCounterMode

from assistant.vlm.engine.batching import MAX_ROWS, BatchDecoder, Row

ROUNDS = 3
WORDS = 16
# No token ends an answer, so that each has its full length.
NO_END = -1
# Bytes copied, and side of the square matrices multiplied, to measure the device's rates.
COPIED = {"cuda": 4 * 1024**3, "cpu": 64 * 1024**2}
SIDE = {"cuda": 8192, "cpu": 512}

Decode = Callable[[int, int], None]
"""Answers a number of prompts at once, with a number of tokens each."""


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the median seconds of a few rounds of work, after one that prepares kernels."""
    taken = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def rates(device: str) -> dict[str, float]:
    """Measure the device's memory bandwidth (bytes/s) and its bfloat16 matrix product rate (FLOP/s)."""
    source = torch.zeros(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    square = torch.randn(SIDE[device], SIDE[device], device=device).to(torch.bfloat16)
    return {
        "bytes_per_second": 2 * COPIED[device] / seconds(lambda: target.copy_(source), device),
        "flops_per_second": 2 * SIDE[device] ** 3 / seconds(lambda: square @ square, device),
    }


class Subject:
    """A model with random weights, and the ways to decode with it."""

    def __init__(self, name: str, device: str) -> None:
        self.model: Any = random_model(name, device).eval()
        self.device = device

    def prompt(self, rows: int) -> dict[str, torch.Tensor]:
        """Return prompts with new images, which are in no cache."""
        config = self.model.config
        visual = torch.full((rows, config.image_tokens), config.image_token_id)
        words = torch.randint(3, min(config.image_token_id, 300), (rows, WORDS))
        ids = torch.cat([visual, words], dim=1)
        images = torch.randn(rows, 3, config.image_size, config.image_size)
        return {"input_ids": ids, "pixel_values": images}

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> None:
        """Encode images (images, 3, side, side)."""
        self.model.get_image_features(pixels)

    def generate(self, rows: int, tokens: int, **options: object) -> None:
        """Decode with transformers' `generate`."""
        batch = {name: tensor.to(self.device) for name, tensor in self.prompt(rows).items()}
        batch["pixel_values"] = batch["pixel_values"].to(self.model.dtype)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        lengths = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        with torch.inference_mode():
            self.model.generate(**batch, **lengths, do_sample=False, **options)

    def static(self, rows: int, tokens: int) -> None:
        """Decode with `generate` and a static cache."""
        self.generate(rows, tokens, cache_implementation="static")

    def engine(self, rows: int, tokens: int) -> None:
        """Decode with the engine."""
        batch = self.prompt(rows)
        asked = [
            Row(ids, image[None], tokens)
            for ids, image in zip(batch["input_ids"], batch["pixel_values"], strict=True)
        ]
        for _ in self._decoder.decode(asked):
            pass

    @property
    def ways(self) -> dict[str, Decode]:
        """The ways by name; the engine comes last, since it changes the layout of the weights."""
        self._decoder = BatchDecoder(self.model, NO_END)
        return {"generate": self.generate, "static": self.static, "engine": self.engine}

    def weight_bytes(self) -> int:
        """Return the bytes of the language model's weights that each step reads: all but the embeddings."""
        text = self.model.language_model
        embeddings = text.get_input_embeddings().weight
        tied = self.model.config.get_text_config().tie_word_embeddings
        held = sum(weight.numel() * weight.element_size() for weight in text.parameters())
        return int(held if tied else held - embeddings.numel() * embeddings.element_size())


def encoding(subject: Subject, images: Sequence[int], flops_per_second: float) -> dict[str, object]:
    """Measure encoding so many images at once: images per second, and the share of the peak."""
    found: dict[str, object] = {}
    for count in images:
        pixels = subject.prompt(count)["pixel_values"].to(subject.device, subject.model.dtype)
        encode = partial(subject.encode, pixels)
        with FlopCounterMode(display=False) as counter:
            encode()
        taken = seconds(encode, subject.device)
        found[str(count)] = {
            "images_per_second": round(count / taken, 2),
            "share_of_peak": round(counter.get_total_flops() / taken / flops_per_second, 4),
        }
    return found


def decoding(subject: Subject, rows: Sequence[int], tokens: int, floor: float) -> dict[str, object]:
    """Measure each way: tokens per second by rows, and the share of the floor of a single stream.

    The time for one token is subtracted, so that prefill and encoding do not count.
    """
    found: dict[str, dict[str, object]] = {}
    for name, decode in subject.ways.items():
        found[name] = {}
        for count in rows:
            first = seconds(partial(decode, count, 1), subject.device)
            whole = seconds(partial(decode, count, tokens), subject.device)
            later = max(whole - first, 1e-9) / (tokens - 1)
            found[name][str(count)] = {
                "first_token_seconds": round(first, 4),
                "tokens_per_second": round(count / later, 1),
                **({"share_of_floor": round(floor / later, 4)} if count == 1 else {}),
            }
    return dict(found)


def measure(name: str, device: str, rows: Sequence[int], tokens: int) -> dict[str, object]:
    """Measure a shape."""
    measured = rates(device)
    subject = Subject(name, device)
    floor = subject.weight_bytes() / measured["bytes_per_second"]
    flops = peak_flops(device) or measured["flops_per_second"]
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        **{rate: float(f"{value:.4g}") for rate, value in measured.items()},
        "peak_flops_per_second": flops,
        "weight_bytes": subject.weight_bytes(),
        "floor_seconds_per_token": float(f"{floor:.4g}"),
        "encoding": encoding(subject, rows, flops),
        "decoding": decoding(subject, rows, tokens, floor),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--shape", choices=SHAPES, action="append", required=True, help="random weights")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32], help="prompts at once")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer, two or more")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shapes = {name: measure(name, device, options.rows, options.tokens) for name in options.shape}
    publish({"tokens": options.tokens, "engine_rows": MAX_ROWS, "shapes": shapes}, options.out)


if __name__ == "__main__":
    main()
