"""The program that torchrun starts in the tests: it trains the runs of its argument, one after another.

A run is `settings`, a configuration as JSON; `half`, whether the frozen weights are bfloat16; `forget`, a
checkpoint to remove first.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import torch
from pydantic import TypeAdapter

from assistant.vlm.training.processes import leave_processes
from assistant.vlm.training.trainer import TrainingConfig, train

from .tiny import tiny_model, tiny_processor


def main() -> None:
    """Train, and record in `written-RANK.json` which other files than the runs' this process wrote."""
    rank, runs = os.environ["RANK"], json.loads(sys.argv[1])
    written: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            written.append(str(arguments[0]))

    sys.addaudithook(note)
    for run in runs:
        config = TypeAdapter(TrainingConfig).validate_python(run["settings"])
        if "forget" in run:
            torch.distributed.barrier()
            if rank == "0":
                shutil.rmtree(config.out / run["forget"])
            torch.distributed.barrier()
        model = tiny_model().bfloat16() if run.get("half") else tiny_model()
        train(model, tiny_processor(), config)
    root = Path(runs[0]["settings"]["out"]).parent
    mine = [path for path in written if path.startswith(str(root))]
    (root / f"written-{rank}.json").write_text(json.dumps(mine))
    leave_processes()


if __name__ == "__main__":
    main()
