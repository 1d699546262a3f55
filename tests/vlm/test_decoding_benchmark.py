"""The decoding benchmark on its tiny shape, which runs on any machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "decoding.py"


def test_each_way_to_decode_is_measured_against_the_floors(tmp_path: Path) -> None:
    out = tmp_path / "decoding.json"
    options = ("--shape", "tiny", "--rows", "1", "--tokens", "3", "--out", out)
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    tiny = json.loads(out.read_text())["shapes"]["tiny"]
    # The tiny model's 28,832 weights beside its embeddings, in bfloat16.
    assert tiny["weight_bytes"] == 2 * 28_832
    assert 0 < tiny["encoding"]["1"]["share_of_peak"] < 1
    assert set(tiny["decoding"]) == {"generate", "static", "engine"}
    for way in tiny["decoding"].values():
        assert way["1"]["tokens_per_second"] > 0
        assert 0 <= way["1"]["share_of_floor"] <= 1
