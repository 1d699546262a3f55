"""Measure `assistant ask`: help, cold start, warm latency by task, peak memory.

    python benchmarks/asking.py --out benchmarks/results/asking.json

Run it on an idle machine with nano's weights in the cache (`assistant models pull nano`).
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from figures import arguments, publish, seconds_of

PHOTO = Path(__file__).parents[1] / "ui" / "samples" / "astronaut.jpg"
QUESTIONS = {
    "refer": "where is the woman?",
    "vqa": "how many people are there?",
    "caption": "describe the picture briefly",
    "detection": "find all people",
    "grounding": "[grounding]",
}
REPEATS = 5


def warm_questions() -> dict[str, float]:
    """Return the median seconds of a question by task, with a loaded model."""
    from assistant.agent.plan import PlanContext
    from assistant.agent.planner import Planner
    from assistant.agent.turn import run
    from assistant.vlm.pictures import open_picture
    from assistant.vlm.vision_language_model import VisionLanguageModel

    model = VisionLanguageModel.load()
    planner = Planner.for_model(model)
    image = open_picture(PHOTO).image
    medians = {}
    for task, question in QUESTIONS.items():
        plan = planner.plan(question, PlanContext())
        run(model, plan, image)  # the first use prepares kernels
        # Crop a little differently each time: questions about a known image are answered from the cache.
        medians[task] = statistics.median(
            run(model, plan, image.crop((left, 0, *image.size))).seconds for left in range(1, REPEATS + 1)
        )
    return medians


def measure() -> dict[str, object]:
    """Run all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ASSISTANT_DB"] = str(Path(folder) / "sessions.db")
        help_seconds = statistics.median(seconds_of("--help") for _ in range(REPEATS))
        ask = ["ask", str(PHOTO), QUESTIONS["refer"]]
        seconds_of(*ask)  # fill the page cache
        cold = statistics.median(seconds_of(*ask) for _ in range(3))
    unit = 1024**2 if sys.platform == "darwin" else 1024  # macOS reports bytes, others kilobytes
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    return {
        "help_seconds": round(help_seconds, 3),
        "cold_ask_seconds": round(cold, 2),
        "cold_ask_peak_mb": round(peak_mb),
        "warm_seconds": {task: round(value, 3) for task, value in warm_questions().items()},
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    options = arguments(__doc__).parse_args()
    publish(measure(), options.out)


if __name__ == "__main__":
    main()
