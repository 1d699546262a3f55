"""Write the measured figures into nano's model card.

    python benchmarks/card.py

Replaces the tables of the card between their markers by those of `benchmarks/results`, made by
`nano_val.py` and `calibrate.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.vlm.models.presets import PRESETS

CARD = PRESETS["nano"].adapter / "README.md"
RESULTS = Path(__file__).parent / "results"

ROWS = (
    ("phrase_refer", "accuracy_at_50", "accuracy at IoU 0.5, a phrase that means one box"),
    ("phrase_refer", "accuracy_at_50_small", "the same, things under a tenth of the image"),
    ("phrase_refer", "accuracy_at_50_large", "the same, larger things"),
    ("phrase_refer", "accuracy_at_50_people", "the same, people"),
    ("phrase_refer", "accuracy_at_50_joined", '"a man in a red shirt"'),
    ("phrase_refer", "accuracy_at_50_if_always_whole_picture", "if the answer were always the whole image"),
    ("phrase_refer", "mean_iou", "mean IoU"),
    ("phrase_refer", "refused", "refused as absent"),
    ("phrase_refer", "malformed", "malformed answers"),
    ("phrase_refer_one_look", "accuracy_at_50", "the first, without zooming in"),
    ("phrase_refer_one_look", "accuracy_at_50_small", "small things, without zooming in"),
    ("phrase_identify", "noun_right", "noun is one that people used"),
    ("phrase_identify", "noun_right_but_people", "the same, without people"),
    ("phrase_grounding", "phrase_accuracy_at_50", "accuracy at IoU 0.5 of a grounded caption's phrases"),
    ("phrase_grounding", "captions_with_a_box", "captions with a box"),
    ("phrase_detection", "recall_at_50_caption", "recall at IoU 0.5, a caption's phrases"),
    ("phrase_detection", "recall_at_50_phrase", "recall at IoU 0.5, one phrase"),
    ("phrase_detection", "precision_at_50_caption", "precision, a caption's phrases"),
    ("phrase_detection", "precision_at_50_phrase", "precision, one phrase"),
    ("phrase_absent", "refused_absent", "absent things refused"),
    ("phrase_absent", "refused_present", "present things refused"),
    ("phrase_presence", "balanced_accuracy", '"is there a …?", balanced accuracy'),
    ("phrase_presence", "accuracy_present", "of present things"),
    ("phrase_presence", "accuracy_absent", "of absent things"),
    ("caption", "cider_d", "CIDEr-D"),
    ("caption", "bleu_4", "BLEU-4"),
    ("vqa", "top_1_coco", "top-1, VQA v2"),
    ("vqa", "top_1_coco_blind", "a blind answer"),
    ("vqa", "top_1_daquar", "top-1, DAQUAR"),
    ("vqa", "top_1_daquar_blind", "a blind answer"),
    ("counting", "exact", "exact"),
    ("counting", "exact_if_always_one", 'exact, if always "1"'),
    ("counting", "exact_of_several", "exact, where there are several"),
    ("hallucination", "chair_objects_long", "CHAIR of objects, free description"),
    ("hallucination", "chair_objects_grounded", "CHAIR of objects, `[grounding]`"),
    ("hallucination", "chair_objects_short", "CHAIR of objects, `[caption]`"),
)


def filled(card: str) -> str:
    """Return the card with the tables of the results."""
    suites, calibration = (_read(name) for name in ("nano-val", "calibration"))
    tables = {"suites": _suites(suites), "reliability": _reliability(calibration)}
    for name, table in tables.items():
        before, start, rest = card.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("\n<!-- end -->")
        if not end:
            raise ValueError(f"the card has no block from <!-- {name} --> to <!-- end -->")
        card = before + start + table + end + after
    return card


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _suites(figures: Mapping[str, Any]) -> str:
    rows, last = (
        [_source(figures), "", "| suite | measure | value | 95 % interval | n |", "|---|---|---|---|---|"],
        "",
    )
    for suite, measure, words in ROWS:
        it = figures["suites"][suite]["measures"][measure]
        name = "" if suite == last else f"`{suite}`"
        rows.append(
            f"| {name} | {words} | {it['value']:.3f} | {it['low']:.3f} to {it['high']:.3f} | {it['count']} |"
        )
        last = suite
    return "\n".join(rows)


def _reliability(figures: Mapping[str, Any]) -> str:
    refer = figures["refer"]
    rows = ["| probability | mean | share of right boxes, `[refer]` | boxes |", "|---|---|---|---|"]
    rows += [
        f"| {it['from']:.1f} to {it['from'] + 0.1:.1f} | {it['mean']:.2f} | {_share(it['right'])} "
        f"| {it['right']['count']} |"
        for it in refer["reliability"]
    ]
    present, absent = figures["refused_present"], figures["refused_absent"]
    sure = refer["right_from_0.8"]
    rows += [
        "",
        f"From a probability of 0.8, {_share(sure)} of {sure['count']} boxes are right. Of present things "
        f"{_share(present)} of {present['count']} were refused, of absent ones {_share(absent)} of "
        f"{absent['count']}.",
    ]
    return "\n".join([_source(figures), "", *rows])


def _share(it: Mapping[str, float]) -> str:
    return f"{it['value']:.2f} [{it['low']:.2f}, {it['high']:.2f}]"


def _source(figures: Mapping[str, Any]) -> str:
    return (
        f"{figures['date'][:10]}, {figures['machine']}, commit `{figures['commit']}`, "
        f"weights `{figures['weights_sha256'][:8]}`:"
    )


def main(_argv: Sequence[str] | None = None) -> None:
    """Rewrite the card."""
    CARD.write_text(filled(CARD.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
