"""The training benchmark on its tiny shape, which runs on any machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training.py"


def test_a_shape_with_random_weights_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "training.json"
    subprocess.run([sys.executable, SCRIPT, "--shape", "tiny", "--out", out], check=True, capture_output=True)
    figures = json.loads(out.read_text())
    assert {"date", "commit", "machine", "threads"} <= figures.keys()
    tiny = figures["shapes"]["tiny"]
    assert tiny["visual_tokens"] == 4
    assert tiny["seconds_per_step"] > 0
    # 2 images with 2 samples each: 4 visual tokens and 2 x 8 text tokens per image.
    assert abs(tiny["tokens_per_second"] / tiny["samples_per_second"] - 20 / 2) < 0.1
    # At least forward and backward of the language model's 20 thousand weights for each of the 40 tokens.
    assert 4 * 40 * 20_000 < tiny["teraflop_per_step"] * 1e12 < 400 * 40 * 20_000


def test_without_options_it_says_what_to_give() -> None:
    run = subprocess.run([sys.executable, SCRIPT], check=False, capture_output=True, text=True)
    assert run.returncode == 2
    assert "give --data, --shape, or both" in run.stderr
