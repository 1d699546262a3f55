"""Measure whether boxes that the model confirms in a check question are right more often.

    python benchmarks/verification.py --data photos --out benchmarks/results/verification.json

Each of `--limit` photos from all over the split gives an expression that means one box. The model locates it
(`refer`), then names the content of its own box as a check; the same for something absent. It also names
the true box (`identify`), then locates that name as a check. A box is right at IoU 0.5 or more, a name if its
noun is the expression's or of the same class.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from figures import arguments, publish
from PIL import Image

from assistant.agent.answer import UNSURE
from assistant.agent.plan import Plan, Step
from assistant.agent.turn import run
from assistant.agent.verification import ask_back, same_thing
from assistant.storage import StoredStep
from assistant.vlm.data.expressions import Expression, ExpressionKind, expressions
from assistant.vlm.data.photos import Photo, PhotoFolder
from assistant.vlm.evaluation.hallucination import absent_class
from assistant.vlm.evaluation.metrics import HIT
from assistant.vlm.evaluation.provenance import provenance
from assistant.vlm.models.presets import DEFAULT_MODEL
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

Outcome = tuple[bool, bool | None, float | None]
"""Whether an answer is right, whether the check agrees, and the score of the box."""


def questions(photos: Iterable[Photo], limit: int) -> list[tuple[Photo, Expression]]:
    """Return photos from all over the folder, each with an expression for a single object of its class."""
    found = []
    for photo in photos:
        unique = [it for it in expressions(photo) if it.kind in (ExpressionKind.CLASS, ExpressionKind.NAME)]
        if unique:
            found.append((photo, unique[0]))
    return found[:: max(1, len(found) // limit)][:limit]


def located(expression: Expression, result: StoredStep) -> Outcome:
    """Judge the box for an expression."""
    box = result.phrases[0].boxes[0] if result.phrases else None
    return box is not None and box.iou(expression.box) >= HIT, _agrees(result), box.score if box else None


def named(expression: Expression, result: StoredStep) -> Outcome:
    """Judge the name for the expression's box."""
    name = result.phrases[0].text if result.phrases else ""
    return same_thing(expression.label, name) or same_thing(expression.text, name), _agrees(result), None


def _asked_back(model: VisionLanguageModel, result: StoredStep, image: Image.Image) -> StoredStep:
    """Return a result with the checks of its boxes; a normal answer drops boxes that fail the check."""
    step = Step(Task(result.name), result.argument, result.region)
    return replace(result, phrases=ask_back(model, step, result.phrases, image))


def _agrees(result: StoredStep) -> bool | None:
    verified = next(iter(result.verifications), None)
    return verified.agrees if verified else None


def share(outcomes: Sequence[Outcome]) -> dict[str, float | int | None]:
    """Return the share of right outcomes."""
    right, count = sum(outcome[0] for outcome in outcomes), len(outcomes)
    return {"right": right, "of": count, "share": round(right / count, 3) if count else None}


def table(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return the shares of right answers: of all, of those confirmed, and of the others."""
    return {
        "all": share(outcomes),
        "confirmed": share([it for it in outcomes if it[1]]),
        "not_confirmed": share([it for it in outcomes if not it[1]]),
    }


def by_score(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return the shares separately for boxes with sure and unsure scores."""
    sure = [it for it in outcomes if it[2] is not None and it[2] >= UNSURE]
    return {"sure": table(sure), "unsure": table([it for it in outcomes if it not in sure])}


def measure(model: VisionLanguageModel, folder: PhotoFolder, limit: int) -> dict[str, object]:
    """Ask all questions and return the figures with their provenance."""
    found: list[Outcome] = []
    names: list[Outcome] = []
    invented: list[bool | None] = []  # whether the check confirms a box for an absent thing
    asked_in_vain = 0
    start = time.perf_counter()
    for photo, expression in questions(folder.photos, limit):
        image = folder.read(photo)
        steps = [Step(Task.REFER, expression.definite), Step(Task.IDENTIFY, "", expression.box)]
        absent = absent_class(photo)
        steps += [Step(Task.REFER, f"the {absent}")] if absent else []
        results = run(model, Plan(tuple(steps), "measured"), image).steps
        refer, identify, *others = (_asked_back(model, result, image) for result in results)
        found.append(located(expression, refer))
        names.append(named(expression, identify))
        invented += [_agrees(other) for other in others if other.phrases]
        asked_in_vain += len(others)
    return provenance(model.name) | {
        "split": folder.split,
        "photos": len(found),
        "refer": table(found) | {"by_score": by_score(found), "unsure_below": UNSURE},
        "absent": {"asked": asked_in_vain, "boxes": len(invented), "confirmed": invented.count(True)},
        "identify": table(names),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos, as for `assistant train`")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a model")
    parser.add_argument("--limit", type=int, default=40, help="photos to ask about")
    options = parser.parse_args()
    folder = PhotoFolder(options.data, options.split)
    publish(measure(VisionLanguageModel.load(options.model), folder, options.limit), options.out)


if __name__ == "__main__":
    main()
