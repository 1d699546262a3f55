"""Compare the answers of a served model with those of the local engine, on photos of the `val` split.

    assistant serve --model nano
    python benchmarks/served.py --data photos --server http://127.0.0.1:8000/v1

Both answer the same questions greedily, without zooming in, from the same weights: an adapter's are merged as
`assistant serve` does. `equal` is the share of answers that are the same text; `boxes` is the share of the
answers with boxes, on either side, in which both have as many and each pair has an IoU of 0.9 or more.

In bfloat16, sums in another order round differently, which may change the choice between two tokens that are
nearly tied. `alone` compares the local engine with itself, in batches and one by one, to show how often. With
`--dtype float32` here, and `-- --dtype float32` for the server, ties are rare.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from figures import arguments, publish

from assistant.vlm.answers import Generation, Request
from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.engine.base import Engine
from assistant.vlm.engine.loading import load_engine
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.models.merging import whole_model
from assistant.vlm.models.presets import DEFAULT_MODEL

SUITES = ("phrase_refer", "vqa", "caption")
SAME_BOX = 0.9


def questions(folder: PhotoFolder, suite: str, photos: int) -> list[Request]:
    """Return one question of a suite about each of so many photos, spread over all of them."""
    of_suite = photo_set(folder, [suite])
    first = {item.image: item for item in reversed(of_suite.suites[suite].items)}
    items = sorted(first.values(), key=lambda item: item.image)
    chosen = items[:: max(len(items) // photos, 1)][:photos]
    return [replace(item.request, image=of_suite.read(item.image)) for item in chosen]


def ask(engine: Engine, requests: Sequence[Request], together: int) -> tuple[list[Generation], float]:
    """Return the answers, asked so many at a time, and the seconds that they took."""
    start = time.perf_counter()
    answers = [
        answer
        for first in range(0, len(requests), together)
        for answer in engine.generate(requests[first : first + together])
    ]
    return answers, time.perf_counter() - start


def same_boxes(one: Generation, other: Generation) -> bool:
    """Return whether two answers have the same boxes, up to rounding."""
    mine, theirs = one.grounded.boxes, other.grounded.boxes
    pairs = zip(mine, theirs, strict=False)
    return len(mine) == len(theirs) and all(box.iou(that) >= SAME_BOX for box, that in pairs)


def compare(ours: Sequence[Generation], theirs: Sequence[Generation]) -> dict[str, object]:
    """Return the shares of equal answers and of equal boxes, and the answers that differ."""
    pairs = list(zip(ours, theirs, strict=True))
    boxed = [pair for pair in pairs if pair[0].grounded.boxes or pair[1].grounded.boxes]
    return {
        "equal": round(sum(one.raw == other.raw for one, other in pairs) / len(pairs), 3),
        "boxes": round(sum(same_boxes(*pair) for pair in boxed) / len(boxed), 3) if boxed else None,
        "differing": [[one.raw, other.raw] for one, other in pairs if one.raw != other.raw],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Compare suite by suite."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    parser.add_argument("--server", required=True, help="the server's address, as for --model")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the model that it serves")
    parser.add_argument("--dtype", help="the local engine's precision")
    parser.add_argument("--limit", type=int, default=50, help="photos per suite")
    parser.add_argument("--together", type=int, default=8, help="questions asked at a time")
    parser.add_argument("--suites", nargs="+", default=SUITES, metavar="NAME")
    options = parser.parse_args(argv)
    folder = PhotoFolder(options.data, "val")
    served = load_engine(options.server, zoom=False)
    local = load_engine(str(whole_model(options.model)), zoom=False, dtype=options.dtype)
    suites: dict[str, object] = {}
    for suite in options.suites:
        requests = questions(folder, suite, options.limit)
        remote, remote_seconds = ask(served, requests, options.together)
        ours, seconds = ask(local, requests, options.together)
        alone, _ = ask(local, requests, 1)
        suites[suite] = {
            "questions": len(requests),
            "seconds": {"local": round(seconds, 1), "served": round(remote_seconds, 1)},
            "served": compare(ours, remote),
            "alone": compare(ours, alone),
        }
        publish({"server": served.name, "together": options.together, "suites": suites}, options.out)


if __name__ == "__main__":
    main()
