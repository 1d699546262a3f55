"""The learning rates of a run with the reference's schedule."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from assistant.vlm.training.config import load_config
from assistant.vlm.training.run import train
from assistant.vlm.training.schedule import Schedule

from .runs import short_run
from .tiny import tiny_model, tiny_processor


def reference_rate(step: int, steps: int, peak: float, first: float, last: float, warmup: int) -> float:
    """`linear_warmup_cosine_lr` in one epoch, spelled out."""
    if step < warmup:
        return min(peak, first + (peak - first) * step / max(warmup, 1))
    return (peak - last) * 0.5 * (1.0 + math.cos(math.pi * step / steps)) + last


@pytest.mark.parametrize("last", [0.0, 8e-6, 8e-5])
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_every_step_has_the_rate_of_the_reference(last: float, warmup: int) -> None:
    schedule = Schedule(first=1e-6, last=last)
    for step in range(20):
        wanted = reference_rate(step, 20, 1e-5, 1e-6, last, warmup)
        assert schedule.rate(step, 1e-5, warmup, 20) == pytest.approx(wanted, rel=1e-12)


def test_the_paper_stages_start_and_end_at_the_rates_of_the_reference() -> None:
    given = {"data": "data", "out": "out"}
    stages = [load_config(f"7b-{number}", options=given) for number in (1, 2, 3)]
    assert [(it.schedule.first, it.schedule.last) for it in stages] == [(1e-6, 8e-5), (1e-6, 0), (1e-6, 8e-5)]


def test_a_run_trains_each_layer_at_its_own_rate(tmp_path: Path) -> None:
    config = short_run(
        tmp_path,
        steps=5,
        learning_rate=1e-3,
        projection_learning_rate=1e-3,
        warmup_steps=2,
        schedule=Schedule(first=1e-4, last=2e-4),
        log_every=1,
    )
    train(tiny_model(), tiny_processor(), config, log_line=lambda _: None)
    lines = [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert rates == pytest.approx([reference_rate(step, 5, 1e-3, 1e-4, 2e-4, 2) for step in range(5)])
