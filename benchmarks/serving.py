"""How long ten users wait who ask at once, against one batch of their questions.

    python benchmarks/serving.py --out benchmarks/results/serving.json

Ten threads ask one model at the same moment, as ten people in the browser do. The ideal is the time that
transformers' own `generate` takes for a ready batch of the same ten, called directly: nobody could have his
answer sooner if all were to be had together. Both are measured in turn, on captions, which are all of about
one length, and on questions of every kind, where short answers need not wait for long ones. Run it on an idle
machine with nano's weights in the cache (`assistant models pull nano`); it takes about two minutes.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from figures import arguments, publish

from assistant.vlm.answers import Request
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.pictures import open_picture
from assistant.vlm.presets import DEFAULT_MODEL
from assistant.vlm.tasks import Task

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"
PHOTOS = [open_picture(SAMPLES / f"{name}.jpg").image for name in ("astronaut", "cat", "coffee", "rocket")]
USERS = 10
ROUNDS = 2

CAPTIONS = [Request(Task.CAPTION, image=PHOTOS[user % len(PHOTOS)]) for user in range(USERS)]
MIXED = [
    Request(Task.VQA, "how many people are there?", image=PHOTOS[0]),
    Request(Task.VQA, "what colour is the cat?", image=PHOTOS[1]),
    Request(Task.VQA, "what is on the table?", image=PHOTOS[2]),
    Request(Task.VQA, "is it day or night?", image=PHOTOS[3]),
    Request(Task.REFER, "the woman", image=PHOTOS[0]),
    Request(Task.REFER, "the cat", image=PHOTOS[1]),
    Request(Task.REFER, "the cup", image=PHOTOS[2]),
    Request(Task.CAPTION, image=PHOTOS[3]),
    Request(Task.DETECTION, "a person", image=PHOTOS[0]),
    Request(Task.GROUNDING, image=PHOTOS[1]),
]


def unseen(requests: Sequence[Request], number: int) -> list[Request]:
    """Return the requests with pictures that are new: a little is cut off of them in each round."""
    cut = [1 + number * USERS + user for user in range(len(requests))]
    return [
        replace(request, image=request.image and request.image.crop((left, 0, *request.image.size)))
        for request, left in zip(requests, cut, strict=True)
    ]


def batch_seconds(engine: LocalEngine, requests: Sequence[Request]) -> float:
    """Return the seconds of one batch of the requests, decoded until its longest answer ends."""
    start = time.perf_counter()
    batch = engine.processor([request.image for request in requests], [request.turns for request in requests])
    with torch.inference_mode():
        engine.model.generate(
            **batch.to(engine.model.device),
            do_sample=False,
            max_new_tokens=max(request.max_new_tokens for request in requests),
        )
    return time.perf_counter() - start


def waits(engine: LocalEngine, requests: Sequence[Request]) -> list[float]:
    """Return the seconds that each of as many threads waits for its answer, all asking at once."""
    together = threading.Barrier(len(requests))

    def ask(request: Request) -> float:
        together.wait()
        start = time.perf_counter()
        (answer,) = engine.generate([request])
        if not answer.raw:
            raise RuntimeError(f"no answer to {request.turns[-1].user!r}")
        return time.perf_counter() - start

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def measure(engine: LocalEngine, requests: Sequence[Request]) -> dict[str, float]:
    """Return the medians over the rounds of the batch's time and of the users' median and longest wait."""
    rounds = []
    for number in range(ROUNDS):
        asked = unseen(requests, number)
        ideal, waited = batch_seconds(engine, asked), waits(engine, asked)
        rounds.append((ideal, statistics.median(waited), max(waited)))
    ideal, median, longest = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "one_batch_seconds": round(ideal, 2),
        "median_wait_seconds": round(median, 2),
        "longest_wait_seconds": round(longest, 2),
        "median_wait_to_one_batch": round(median / ideal, 2),
        "longest_wait_to_one_batch": round(longest / ideal, 2),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    options = arguments(__doc__).parse_args()
    engine = LocalEngine.load(DEFAULT_MODEL)
    waits(engine, MIXED[:2])  # kernels are prepared on first use
    kinds = {"captions": CAPTIONS, "mixed": MIXED}
    publish(
        {"users": USERS} | {name: measure(engine, requests) for name, requests in kinds.items()}, options.out
    )


if __name__ == "__main__":
    main()
