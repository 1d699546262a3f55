"""Measure the planner: latency over the held-out messages, and a cold `assistant plan`.

Run `python benchmarks/planner.py [--messages N] [--runs N] [--out FILE]` on an idle machine with nano's
weights in the cache. Reports wall-clock seconds; `benchmarks/asking.py` measures the answers.
"""

from __future__ import annotations

import statistics
import time

from figures import arguments, publish, seconds_of

from assistant.agent.planner import Planner
from assistant.vlm.data.messages import read_messages
from assistant.vlm.vision_language_model import VisionLanguageModel

MESSAGE = "Where is the dog in the red coat, and what is it looking at?"


def latencies(count: int) -> list[float]:
    """Return the times of `count` messages with nano loaded, after a warm-up."""
    planner = Planner.for_model(VisionLanguageModel.load())
    messages = read_messages(held_out=True)
    messages = messages[:: max(1, len(messages) // count)]
    for message in messages[:5]:
        planner.plan(message.line.user, message.context)
    times = []
    for message in messages:
        start = time.perf_counter()
        planner.plan(message.line.user, message.context)
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--messages", type=int, default=200, help="the number of messages")
    parser.add_argument("--runs", type=int, default=3, help="the number of cold starts")
    options = parser.parse_args()
    seconds_of("plan", MESSAGE)  # fill the page cache
    cold = [seconds_of("plan", MESSAGE) for _ in range(options.runs)]
    times = latencies(options.messages)
    deciles = statistics.quantiles(times, n=10)
    figures = {
        "messages": len(times),
        "p50_seconds": round(statistics.median(times), 3),
        "p90_seconds": round(deciles[8], 3),
        "cold_plan_seconds": round(statistics.median(cold), 2),
    }
    publish(figures, options.out)


if __name__ == "__main__":
    main()
