"""How far a referral's score can be trusted, on annotated photos: of things that are there, and of others.

    python benchmarks/thresholds.py --data FOLDER --limit 300 --out benchmarks/results/thresholds.json

`agent/answer.py` says a referral with a doubt below one of these thresholds; docs/thresholds.md tells why.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from figures import arguments, publish

from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.evaluation.thresholds import Referred, lowest_with, threshold_table
from assistant.vlm.presets import DEFAULT_MODEL
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel


def measure(model: VisionLanguageModel, folder: PhotoFolder, limit: int | None) -> dict[str, Any]:
    """Ask for things and return the table, with what it was measured on."""
    data = photo_set(folder, ["refer", "absent"])
    only_referred = {
        name: replace(suite, items=[item for item in suite.items if item.request.task is Task.REFER])
        for name, suite in data.suites.items()
    }
    report = evaluate(model, replace(data, suites=only_referred), limit, show)
    tasks = report.pop("tasks")
    del report["unfinished"]
    asked = [
        Referred(name == "refer", name == "refer" and row["quality"] >= 0.5, next(iter(row["scores"]), None))
        for name, result in tasks.items()
        for row in result["answers"]
    ]
    table = threshold_table(asked)
    return {
        **report,
        "seconds": round(sum(result["seconds"] for result in tasks.values()), 1),
        "things_there": len(tasks["refer"]["answers"]),
        "things_absent": len(tasks["absent"]["answers"]),
        "lowest_with_precision_0.5": lowest_with(table, "precision", 0.5),
        "lowest_with_precision_present_0.5": lowest_with(table, "precision_present", 0.5),
        "table": table,
    }


def show(name: str, done: int, total: int) -> None:
    """Tell the progress."""
    print(f"{name} {done}/{total}", file=sys.stderr)


def main() -> None:
    """Measure, print a table on stderr, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a model's name, or an adapter's folder")
    parser.add_argument("--limit", type=int, help="the most things of either kind")
    options = parser.parse_args()
    folder = PhotoFolder(options.data, options.split)
    figures = measure(VisionLanguageModel.load(options.model), folder, options.limit)
    names = [name for name in figures["table"][0] if name != "threshold"]
    print("threshold", *(f"{name:>18}" for name in names), file=sys.stderr)
    for row in figures["table"]:
        shares = (f"{row[name]['value']:18.3f}" for name in names)
        print(f"{row['threshold']:9.2f}", *shares, file=sys.stderr)
    publish(figures, options.out)


if __name__ == "__main__":
    main()
