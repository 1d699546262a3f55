"""Print the figures of a benchmark, and write them with their provenance."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from assistant.vlm.evaluation.provenance import provenance
from assistant.vlm.models.presets import DEFAULT_MODEL


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser


def seconds_of(*words: str) -> float:
    """Return the wall time of `assistant` with these words; it must succeed."""
    start = time.perf_counter()
    subprocess.run([str(Path(sys.executable).parent / "assistant"), *words], check=True, capture_output=True)
    return time.perf_counter() - start


def publish(figures: Mapping[str, object], out: Path | None) -> None:
    """Print the figures as JSON with the default model's provenance, and write them to `out` if given."""
    text = json.dumps({**provenance(DEFAULT_MODEL), **figures}, indent=1)
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
