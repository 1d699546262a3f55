"""Compare serving concurrent users with transformers' `generate` on the same weights, in one run.

    python benchmarks/serving.py --out benchmarks/results/serving.json

Ten threads ask one model at the same moment, like ten users in the browser. The baseline is the time of
transformers' `generate` for the same ten requests as one batch. Both are measured in turn, on captions, which
have similar lengths, and on mixed questions, where short answers need not wait for long ones.

Eight referring expressions, each about another image: one by one with `generate`, one by one and concurrently
with the engine, and how many answers are equal. Also the time to the first token of the first and the second
question about an image, where the second one reuses the key-value cache of the common prefix.

Run it on an idle machine with nano's weights in the cache (`assistant models pull nano`): three minutes.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
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

REFER = [
    Request(Task.REFER, name, image=PHOTOS[index % len(PHOTOS)])
    for index, name in enumerate(
        ("the woman", "the cat", "the cup", "the rocket", "the flag", "the ear", "the spoon", "the smoke")
    )
]
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


_CUTS = itertools.count(1)


def unseen(requests: Sequence[Request]) -> list[Request]:
    """Return the requests with new images, each cropped a little differently."""
    asked = []
    for request in requests:
        top, left = divmod(next(_CUTS), 50)
        assert request.image is not None
        asked.append(replace(request, image=request.image.crop((left, top, *request.image.size))))
    return asked


def batch_seconds(engine: LocalEngine, requests: Sequence[Request]) -> float:
    """Return the seconds of `generate` on one batch of the requests."""
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
    """Return the seconds that each thread waits for its answer when all ask at once."""
    start_together = threading.Barrier(len(requests))

    def ask(request: Request) -> float:
        start_together.wait()
        start = time.perf_counter()
        (answer,) = engine.generate([request])
        if not answer.raw:
            raise RuntimeError(f"no answer to {request.turns[-1].user!r}")
        return time.perf_counter() - start

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def measure(engine: LocalEngine, requests: Sequence[Request]) -> dict[str, float]:
    """Return the medians over the rounds of the batch time and of the median and longest wait."""
    rounds = []
    for _ in range(ROUNDS):
        asked = unseen(requests)
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


def one_by_one(engine: LocalEngine, requests: Sequence[Request]) -> list[str]:
    """Return the answers of a loop over `generate`."""
    answers = []
    for request in requests:
        batch = engine.processor([request.image], [request.turns]).to(engine.model.device)
        with torch.inference_mode():
            ids = engine.model.generate(**batch, do_sample=False, max_new_tokens=request.max_new_tokens)
        answers.append(engine.processor.decode_answer(ids[0, -_new(ids, batch) :].tolist()))
    return answers


def _new(ids: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> int:
    return ids.shape[1] - batch["input_ids"].shape[1]


def timed(answer: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Return the seconds that answers take, and the answers."""
    start = time.perf_counter()
    answers = answer()
    return time.perf_counter() - start, answers


def eight_refer(engine: LocalEngine) -> dict[str, float]:
    """Time eight referring expressions one by one and together, and count equal answers."""
    rounds, same = [], 0
    for _ in range(ROUNDS):
        ways: list[Callable[[list[Request]], list[str]]] = [
            lambda asked: one_by_one(engine, asked),
            lambda asked: [engine.generate([request])[0].raw for request in asked],
            lambda asked: [answer.raw for answer in engine.generate(asked)],
        ]
        # New images for each way, so that none profits from the cache of another.
        rounds.append([timed(partial(way, unseen(REFER)))[0] for way in ways])
        asked = unseen(REFER)
        alone, _, together = (way(asked) for way in ways)
        same += sum(one == other for one, other in zip(alone, together, strict=True))
    loop, single, batch = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "generate_loop_seconds": round(loop, 2),
        "engine_one_by_one_seconds": round(single, 2),
        "engine_together_seconds": round(batch, 2),
        "loop_to_together": round(loop / batch, 2),
        "same_answers": round(same / (ROUNDS * len(REFER)), 3),
    }


def first_token_seconds(engine: LocalEngine, request: Request) -> float:
    """Return the seconds to the first token of an answer."""
    start = time.perf_counter()
    next(engine.stream(request))
    return time.perf_counter() - start


def second_question(engine: LocalEngine) -> dict[str, float]:
    """Return the median time to the first token of the first and second question about an image."""
    pairs = []
    for request in unseen(MIXED[:4] * ROUNDS):
        second = replace(request, argument="what is the weather like?")
        pairs.append((first_token_seconds(engine, request), first_token_seconds(engine, second)))
    first, second_ = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "first_question_seconds": round(first, 3),
        "second_question_seconds": round(second_, 3),
        "first_to_second": round(first / second_, 2),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    options = arguments(__doc__).parse_args()
    engine = LocalEngine.load(DEFAULT_MODEL)
    waits(engine, MIXED[:2])  # the first use prepares kernels
    kinds = {"captions": CAPTIONS, "mixed": MIXED}
    figures: dict[str, object] = {name: measure(engine, requests) for name, requests in kinds.items()}
    figures |= {"eight_refer": eight_refer(engine), "second_question": second_question(engine)}
    publish({"users": USERS} | figures, options.out)


if __name__ == "__main__":
    main()
