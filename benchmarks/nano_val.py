"""Measure every figure of nano's model card, on the `val` split of a folder of photos.

    python benchmarks/nano_val.py --data photos --out benchmarks/results/nano-val.json

Runs the suites of `assistant evaluate` on as many items each as two cores answer in ten minutes, or fewer
with `--limit`, to try the script. Figures are written after each suite. `phrase_refer_one_look` is
`phrase_refer` without calibration and without zooming in on small objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import arguments, publish

from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.models.presets import DEFAULT_MODEL
from assistant.vlm.vision_language_model import VisionLanguageModel

# The most items per suite; None for all. Long answers take most of the time.
LIMITS: dict[str, int | None] = {
    "caption": None,
    "phrase_refer": 300,
    "phrase_refer_one_look": 300,
    "phrase_absent": 300,
    "phrase_presence": 300,
    "phrase_identify": 300,
    "vqa": 1000,
    "phrase_grounding": 100,
    "phrase_detection": 120,
    "counting": 150,
    "hallucination": 60,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the suites one by one."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    parser.add_argument("--limit", type=int, help="the most items per suite")
    options = parser.parse_args(argv)
    folder = PhotoFolder(options.data, "val")
    shipped = VisionLanguageModel.load(DEFAULT_MODEL)
    one_look = VisionLanguageModel(LocalEngine.load(DEFAULT_MODEL))
    suites: dict[str, Any] = {}
    for name, most in LIMITS.items():
        limit = options.limit or most
        suite = name.removesuffix("_one_look")
        model = shipped if name == suite else one_look
        report = evaluate(model, photo_set(folder, [suite]), limit)
        suites[name] = {"limit": limit, **report["tasks"][suite]}
        del suites[name]["answers"]
        publish({"split": "val", "pictures": len(folder.photos), "suites": suites}, options.out)


if __name__ == "__main__":
    main()
