"""Fit the calibration of nano's box scores, and measure how reliable they are.

    python benchmarks/calibrate.py --data photos --out benchmarks/results/calibration.json \\
        --diagram docs/images/reliability.svg

Asks about photos of the val split: for things that people boxed, and for things that are only in other
photos. Half of the photos (by a hash of their names) fit the weights and the refusal threshold; the other
half measures them. The weights are written to the adapter's folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from figures import arguments, publish

from assistant.vlm.answers import Generation
from assistant.vlm.calibration import FILE, BoxEvidence, Calibration, fit
from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.zoom import ZoomRefiner
from assistant.vlm.evaluation.evaluate import sample_items
from assistant.vlm.evaluation.items import EvaluationSet, Item
from assistant.vlm.evaluation.metrics import HIT, match_boxes, proportion
from assistant.vlm.evaluation.phrases import phrase_overlaps
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.tasks import BOX_TASKS, Task

SUITES = {"phrase_refer": 700, "phrase_absent": 700, "phrase_grounding": 160, "phrase_detection": 300}
BATCH = 32
# The largest share of present things to refuse.
MOST_REFUSED = 0.11
BINS = 10


@dataclass(frozen=True)
class Judged:
    """One answer: its task, whether the thing is present, and the evidence of each box with its correctness.

    `fitted` is whether the photo belongs to the half for fitting.
    """

    task: Task
    fitted: bool
    there: bool
    boxes: tuple[tuple[BoxEvidence, bool], ...]


def ask(engine: ZoomRefiner, data: EvaluationSet, items: Sequence[Item]) -> list[Generation]:
    """Return the answers to items, in order."""
    answers: list[Generation] = []
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        answers += engine.generate([replace(item.request, image=data.read(item.image)) for item in some])
        print(f"{len(answers)}/{len(items)}", end="\r", flush=True)
    return answers


def judge(item: Item, answer: Generation) -> Judged:
    """Compare an answer's boxes with the human ones, at IoU 0.5."""
    task = item.request.task
    assert task is not None
    if task is Task.GROUNDING:
        overlaps = phrase_overlaps(item.about, answer.grounded)
        hits = {place: overlap >= HIT for place, overlap in overlaps.items()}
    else:
        hits = dict(enumerate(match_boxes(answer.grounded.boxes, item.boxes)))
    boxes = tuple((answer.evidence[place], hit) for place, hit in hits.items())
    half = hashlib.blake2b(item.image.encode(), digest_size=1).digest()[0] % 2 == 0
    return Judged(task, half, bool(item.boxes or item.about), boxes)


def fitted(judged: Sequence[Judged]) -> Calibration:
    """Fit the calibration on its half of the answers."""
    weights = {}
    for task in BOX_TASKS:
        boxes = [box for it in judged if it.task is task and it.fitted for box in it.boxes]
        weights[task.value] = fit([evidence for evidence, _ in boxes], [hit for _, hit in boxes])
    return Calibration(weights=weights, refuse_below=_refuse_below(Calibration(weights=weights), judged))


def _refuse_below(calibration: Calibration, judged: Sequence[Judged]) -> float:
    """Return the threshold that refuses at most `MOST_REFUSED` of the present things."""
    present = [it for it in judged if it.task is Task.REFER and it.fitted and it.there]
    best = sorted(_best(calibration, it) for it in present)
    return round(best[int(MOST_REFUSED * len(best))], 3)


def _best(calibration: Calibration, it: Judged) -> float:
    return max((calibration.probability(it.task, evidence) or 0.0 for evidence, _ in it.boxes), default=0.0)


def measured(calibration: Calibration, judged: Sequence[Judged]) -> dict[str, Any]:
    """Measure the reliability of boxes by probability, and refusals, on the other half."""
    others = [it for it in judged if not it.fitted]
    found: dict[str, Any] = {}
    for task in BOX_TASKS:
        boxes = [
            (calibration.probability(task, evidence) or 0.0, hit)
            for it in others
            if it.task is task
            for evidence, hit in it.boxes
        ]
        sure = [hit for probability, hit in boxes if probability >= 0.8]
        found[task.value] = {
            "boxes": len(boxes),
            "right_from_0.8": asdict(proportion(sure)),
            "reliability": _bins(boxes),
        }
    referred = [it for it in others if it.task is Task.REFER]
    for name, there in (("refused_present", True), ("refused_absent", False)):
        refused = [_best(calibration, it) < calibration.refuse_below for it in referred if it.there is there]
        found[name] = asdict(proportion(refused))
    return found


def _bins(boxes: Sequence[tuple[float, bool]]) -> list[dict[str, Any]]:
    rows = []
    for index in range(BINS):
        low, high = index / BINS, (index + 1) / BINS
        of = [(probability, hit) for probability, hit in boxes if low <= probability < high]
        if of:
            mean = sum(probability for probability, _ in of) / len(of)
            right = asdict(proportion([hit for _, hit in of]))
            rows.append({"from": low, "to": high, "mean": round(mean, 3), "right": right})
    return rows


def diagram(reliability: Sequence[dict[str, Any]]) -> str:
    """Return an SVG of the share of right boxes over their mean probability, with intervals."""
    side, margin = 300, 40

    def point(probability: float, share: float) -> tuple[float, float]:
        return margin + probability * side, margin + (1 - share) * side

    marks = []
    for row in reliability:
        x, y = point(row["mean"], row["right"]["value"])
        low, high = (point(row["mean"], row["right"][end])[1] for end in ("low", "high"))
        marks.append(f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="#888"/>')
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#d2601a"/>')
    (x0, y0), (x1, y1) = point(0, 0), point(1, 1)
    full, middle = side + 2 * margin, margin + side / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {full}" font-family="sans-serif">',
            f'<rect width="{full}" height="{full}" fill="white"/>',
            f'<rect x="{margin}" y="{margin}" width="{side}" height="{side}" fill="none" stroke="#444"/>',
            f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="#bbb" stroke-dasharray="4"/>',
            *marks,
            f'<text x="{middle}" y="{full - 8}" font-size="13" text-anchor="middle">'
            "probability, 0 to 1</text>",
            f'<text x="14" y="{middle}" font-size="13" text-anchor="middle" '
            f'transform="rotate(-90 14 {middle})">share of right boxes, 0 to 1</text>',
            "</svg>\n",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Ask, fit, measure, and write."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    parser.add_argument("--limit", type=int, help="the most items per suite, to try the script")
    parser.add_argument(
        "--adapter", type=Path, default=PRESETS["nano"].adapter, help="the adapter to calibrate"
    )
    parser.add_argument("--diagram", type=Path, help="write the reliability diagram of [refer] as SVG")
    options = parser.parse_args(argv)
    engine = ZoomRefiner(LocalEngine.load(str(options.adapter)))
    data = photo_set(PhotoFolder(options.data, "val"), list(SUITES))
    judged: list[Judged] = []
    for name, most in SUITES.items():
        items = sample_items(data.suites[name].items, min(most, options.limit or most))
        answers = ask(engine, data, items)
        judged += [judge(item, answer) for item, answer in zip(items, answers, strict=True)]
    calibration = fitted(judged)
    (options.adapter / FILE).write_text(calibration.model_dump_json(indent=1) + "\n", encoding="utf-8")
    figures = measured(calibration, judged)
    if options.diagram:
        options.diagram.write_text(diagram(figures["refer"]["reliability"]), encoding="utf-8")
    publish({"split": "val", "items": len(judged), **figures}, options.out)


if __name__ == "__main__":
    main()
