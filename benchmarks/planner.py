"""How fast messages are planned: latency over labelled cases, of the first message, and the time to import.

Run `python benchmarks/planner.py [--cases FILE] [--runs N] [--out FILE]`. Times are milliseconds: of wall
clock for messages, of processor time for the import, which a fresh interpreter of its own measures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from assistant.agent.cases import Case, read_cases
from assistant.agent.planner import Planner

CASES = Path(__file__).parents[1] / "tests" / "agent" / "cases.jsonl"
# What a fresh interpreter does: import the planner, then plan one ordinary message.
FRESH_START = """
import time
begin = time.process_time()
from assistant.agent.planner import Planner
imported = time.process_time()
start = time.perf_counter()
Planner().plan("Where is the dog in the red coat, and what is it looking at?")
print(imported - begin, time.perf_counter() - start)
"""


def fresh_start() -> tuple[float, float]:
    """Return the time to import the planner and the time of the first message after it."""
    process = subprocess.run([sys.executable, "-c", FRESH_START], check=True, capture_output=True, text=True)
    imported, first = map(float, process.stdout.split())
    return imported * 1000, first * 1000


def latencies(cases: list[Case], runs: int) -> list[float]:
    """Return the time of every case in every run, after one run that warms up."""
    planner = Planner()
    times = []
    for run in range(runs + 1):
        for case in cases:
            start = time.perf_counter()
            planner.plan(case.message, case.context)
            if run:
                times.append((time.perf_counter() - start) * 1000)
    return times


def measure(cases_file: Path, runs: int) -> dict[str, float]:
    """Return what is printed."""
    cases = list(read_cases(cases_file.read_text(encoding="utf-8").splitlines()))
    times = latencies(cases, runs)
    percentiles = statistics.quantiles(times, n=100)
    starts = [fresh_start() for _ in range(runs)]
    figures = {
        "cases": len(cases),
        "p50_ms": statistics.median(times),
        "p99_ms": percentiles[98],
        "max_ms": max(times),
        "first_ms": statistics.median(first for _, first in starts),
        "import_cpu_ms": statistics.median(imported for imported, _ in starts),
    }
    return {name: round(value, 2) for name, value in figures.items()}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=CASES, help="labelled cases, a JSON object a line")
    parser.add_argument("--runs", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--out", type=Path, help="write the JSON here as well")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.cases, arguments.runs), indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
