"""Compare the engine with a plain loop over transformers' `generate`, on the same weights in one run.

    python benchmarks/serving.py --out benchmarks/results/serving.json

Both run once per image: this engine does not zoom or calibrate. Each figure is the median of a few rounds, in
which the two alternate; every image is new, cropped a little differently each time, except for second
questions. It measures:

- start-up: seconds to load, seconds of the first answer, and the memory of the process;
- latency by task: seconds to the first token, and milliseconds for each further one;
- eight `[refer]`, one by one and in a batch, and how many answers are identical;
- answers per second with 1 to 64 users at once;
- the wait of ten users, against one batch of `generate`;
- the first and the second question about an image: seconds to the first token.

Run it on an idle machine with nano's weights in the cache (`assistant models pull nano`): three minutes.
"""

from __future__ import annotations

import itertools
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from assistant.vlm.engine.threads import own_thread, spin_briefly

spin_briefly()  # as `load_engine` does, before torch is imported

import torch  # noqa: E402
from figures import arguments, publish  # noqa: E402

from assistant.vlm.answers import Request  # noqa: E402
from assistant.vlm.engine.local import LocalEngine  # noqa: E402
from assistant.vlm.models.presets import DEFAULT_MODEL  # noqa: E402
from assistant.vlm.pictures import open_picture  # noqa: E402
from assistant.vlm.tasks import Task  # noqa: E402

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"
PHOTOS = [open_picture(SAMPLES / f"{name}.jpg").image for name in ("astronaut", "cat", "coffee", "rocket")]
ROUNDS = 3
# An answer of fewer tokens says nothing of how long a later token takes.
SHORT = 4
ASKERS = (1, 2, 4, 8, 16, 32, 64)

REFER = [
    Request(Task.REFER, name, image=PHOTOS[index % len(PHOTOS)])
    for index, name in enumerate(
        ("the woman", "the cat", "the cup", "the rocket", "the flag", "the ear", "the spoon", "the smoke")
    )
]
CAPTIONS = [Request(Task.CAPTION, image=PHOTOS[user % len(PHOTOS)]) for user in range(10)]
MIXED = [
    Request(Task.VQA, "how many people are there?", image=PHOTOS[0]),
    Request(Task.VQA, "what colour is the cat?", image=PHOTOS[1]),
    Request(Task.VQA, "what is on the table?", image=PHOTOS[2]),
    Request(Task.VQA, "is it day or night?", image=PHOTOS[3]),
    *REFER[:3],
    Request(Task.CAPTION, image=PHOTOS[3]),
    Request(Task.DETECTION, "a person", image=PHOTOS[0]),
    Request(Task.GROUNDING, image=PHOTOS[1]),
]
BY_TASK = [MIXED[0], MIXED[4], *MIXED[7:]]

Result = TypeVar("Result")
_CUTS = itertools.count(1)


def unseen(requests: Sequence[Request]) -> list[Request]:
    """Return the requests with new images, each cropped a little differently."""
    asked = []
    for request in requests:
        top, left = divmod(next(_CUTS), 50)
        assert request.image is not None
        asked.append(replace(request, image=request.image.crop((left, top, *request.image.size))))
    return asked


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that work takes, and its result."""
    start = time.perf_counter()
    result = own_thread(work)()  # a loop in this thread would slow the engine's from then on
    return time.perf_counter() - start, result


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


@dataclass(frozen=True)
class Generate:
    """A loop over transformers' `generate`, with the model as it was loaded."""

    model: Any
    processor: Any

    def answers(self, requests: Sequence[Request], tokens: int | None = None) -> list[str]:
        """Answer the requests as one batch."""
        batch = self.processor([it.image for it in requests], [it.turns for it in requests])
        longest = tokens or max(request.max_new_tokens for request in requests)
        with torch.inference_mode():
            ids = self.model.generate(**batch.to(self.model.device), do_sample=False, max_new_tokens=longest)
        begun = batch["input_ids"].shape[1]
        return [self.processor.decode_answer(row.tolist()) for row in ids[:, begun:]]

    def one_by_one(self, requests: Sequence[Request], tokens: int | None = None) -> list[str]:
        """Answer the requests in turn."""
        return [self.answers([request], tokens)[0] for request in requests]


def each_alone(engine: LocalEngine, requests: Sequence[Request]) -> list[str]:
    """Answer the requests in turn."""
    return [engine.generate([request])[0].raw for request in requests]


def together(engine: LocalEngine, requests: Sequence[Request]) -> list[str]:
    """Answer the requests in one call."""
    return [answer.raw for answer in engine.generate(requests)]


def waits(engine: LocalEngine, requests: Sequence[Request]) -> list[float]:
    """Return the seconds that each thread waits for its answer when all ask at once."""
    start_together = threading.Barrier(len(requests))

    def ask(request: Request) -> float:
        start_together.wait()
        start = time.perf_counter()
        engine.generate([request])
        return time.perf_counter() - start

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def waiting(engine: LocalEngine, loop: Generate, requests: Sequence[Request]) -> dict[str, float]:
    """Return the time of one batch of `generate`, and the median and longest wait of as many users."""
    rounds = []
    for _ in range(ROUNDS):
        asked = unseen(requests)
        batch, waited = timed(partial(loop.answers, asked))[0], waits(engine, asked)
        rounds.append({"batch": batch, "median": statistics.median(waited), "longest": max(waited)})
    found = medians(rounds)
    return {
        "one_batch_seconds": round(found["batch"], 2),
        "median_wait_seconds": round(found["median"], 2),
        "longest_wait_seconds": round(found["longest"], 2),
        "median_wait_to_one_batch": round(found["median"] / found["batch"], 2),
        "longest_wait_to_one_batch": round(found["longest"] / found["batch"], 2),
    }


def eight_refer(engine: LocalEngine, loop: Generate) -> dict[str, float]:
    """Time eight referring expressions one by one and together, and count equal answers."""
    ways: dict[str, Callable[[list[Request]], list[str]]] = {
        "loop": loop.one_by_one,
        "alone": lambda asked: each_alone(engine, asked),
        "together": lambda asked: together(engine, asked),
    }
    rounds, equal, like_loop = [], 0, 0
    for _ in range(ROUNDS):
        # New images for each way, so that none profits from the cache of another.
        rounds.append({name: timed(partial(way, unseen(REFER)))[0] for name, way in ways.items()})
        asked = unseen(REFER)
        batched = together(engine, asked)
        like_loop += sum(map(str.__eq__, batched, own_thread(loop.one_by_one)(asked)))
        equal += sum(map(str.__eq__, batched, each_alone(fresh(engine), asked)))
    found, count = medians(rounds), ROUNDS * len(REFER)
    return {
        "generate_loop_seconds": round(found["loop"], 2),
        "engine_one_by_one_seconds": round(found["alone"], 2),
        "engine_together_seconds": round(found["together"], 2),
        "loop_to_one_by_one": round(found["loop"] / found["alone"], 2),
        "loop_to_together": round(found["loop"] / found["together"], 2),
        "same_answers_together_and_alone": round(equal / count, 3),
        "same_answers_as_the_loop": round(like_loop / count, 3),
    }


def fresh(engine: LocalEngine) -> LocalEngine:
    """Return an engine of the same model with an empty cache."""
    return LocalEngine(engine.name, engine.model, engine.processor)


def streamed(engine: LocalEngine, request: Request) -> tuple[float, float, str]:
    """Return the seconds to the first token of an answer and to its end, and the answer."""
    start = time.perf_counter()
    pieces = engine.stream(request)
    answer = next(pieces)
    first = time.perf_counter() - start
    answer += "".join(pieces)
    return first, time.perf_counter() - start, answer


def latency(engine: LocalEngine, loop: Generate, request: Request) -> dict[str, float]:
    """Return a task's latency with the engine and with `generate`; that of later tokens if there are any."""

    def length(answer: str) -> int:
        return len(engine.processor.tokenizer(answer, add_special_tokens=False)["input_ids"])

    rounds = []
    for asked in unseen([request] * ROUNDS):
        first, whole, answer = streamed(engine, asked)
        loop_first, _ = timed(partial(loop.answers, [asked], tokens=1))
        loop_whole, (loop_answer,) = timed(partial(loop.answers, [asked]))
        rounds.append(
            {
                "first": first,
                "later": (whole - first) / max(length(answer), 1),
                "loop_first": loop_first,
                "loop_later": (loop_whole - loop_first) / max(length(loop_answer), 1),
                "length": length(loop_answer),
            }
        )
    found = medians(rounds)
    of_first = {
        "first_token_seconds": round(found["first"], 3),
        "loop_to_engine_first_token": round(found["loop_first"] / found["first"], 2),
    }
    if found["length"] < SHORT:
        return of_first
    return of_first | {
        "later_token_milliseconds": round(1000 * found["later"], 1),
        "loop_to_engine_later_token": round(found["loop_later"] / found["later"], 2),
    }


def throughput(engine: LocalEngine, loop: Generate) -> dict[str, float]:
    """Return the answers per second of the loop, and of the engine by the number of users."""
    seconds, _ = timed(lambda: loop.one_by_one(unseen(REFER)))
    found = {"generate_loop": round(len(REFER) / seconds, 2)}
    for askers in ASKERS:
        asked = unseen([REFER[index % len(REFER)] for index in range(askers)])
        start = time.perf_counter()
        waits(engine, asked)
        found[str(askers)] = round(askers / (time.perf_counter() - start), 2)
    return found


def second_question(engine: LocalEngine) -> dict[str, float]:
    """Return the median time to the first token of the first and second question about an image."""
    rounds = []
    for request in unseen(MIXED[:4] * ROUNDS):
        second = replace(request, argument="what is the weather like?")
        rounds.append({"first": streamed(engine, request)[0], "second": streamed(engine, second)[0]})
    found = medians(rounds)
    return {
        "first_question_seconds": round(found["first"], 3),
        "second_question_seconds": round(found["second"], 3),
        "first_to_second": round(found["first"] / found["second"], 2),
    }


def peak_mb() -> int:
    """Return the process's peak memory in MB."""
    unit = 1024**2 if sys.platform == "darwin" else 1024  # macOS reports bytes, others kilobytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def start_up() -> tuple[LocalEngine, dict[str, float]]:
    """Load the engine and answer once, which prepares the model."""
    loading, engine = timed(lambda: LocalEngine.load(DEFAULT_MODEL))
    first, _ = timed(lambda: engine.generate(unseen(REFER[:1])))
    return engine, {
        "load_seconds": round(loading, 2),
        "first_answer_seconds": round(first, 2),
        "peak_mb": peak_mb(),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    options = arguments(__doc__).parse_args()
    engine, started = start_up()
    plain = timed(lambda: LocalEngine.load(DEFAULT_MODEL))[1]
    loop = Generate(plain.model, plain.processor)
    timed(lambda: loop.one_by_one(unseen(REFER[:1])))  # the first use prepares kernels
    figures: dict[str, object] = {
        "start_up": started,
        "eight_refer": eight_refer(engine, loop),
        "second_question": second_question(engine),
        "latency": {str(it.task): latency(engine, loop, it) for it in BY_TASK},
        "answers_a_second": throughput(engine, loop),
        "captions": waiting(engine, loop, CAPTIONS),
        "mixed": waiting(engine, loop, MIXED),
    }
    publish(figures | {"peak_mb_after_64_askers_and_the_loop": peak_mb()}, options.out)


if __name__ == "__main__":
    main()
