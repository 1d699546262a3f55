"""How far a referral's score can be trusted, on annotated photos: of things that are there, and of others.

    python benchmarks/thresholds.py --data FOLDER --limit 300 --out benchmarks/results/thresholds.json

`agent/answer.py` says a referral with a doubt below one of these thresholds; docs/thresholds.md tells why.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.evaluation.thresholds import Referred, lowest_with, threshold_table
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
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--limit", type=int, help="the most things of either kind")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    folder = PhotoFolder(given.data, given.split)
    result = measure(VisionLanguageModel.load(given.model), folder, given.limit)
    names = [name for name in result["table"][0] if name != "threshold"]
    print("threshold", *(f"{name:>18}" for name in names))
    for row in result["table"]:
        print(f"{row['threshold']:9.2f}", *(f"{row[name]['value']:18.3f}" for name in names))
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
