"""The program that torchrun starts in the tests: it trains the runs of its argument, one after another.

A run is `settings`, a configuration as JSON; `half`, whether the frozen weights are bfloat16; `forget`, a
checkpoint to remove first; `refused`, whether accelerate is left to itself, which does not shard on CPUs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from pydantic import TypeAdapter
from transformers import Trainer

from assistant.vlm.errors import AssistantError
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.processes import leave_processes
from assistant.vlm.training.run import train

from .tiny import tiny_model, tiny_processor


def refusal(config: TrainingConfig) -> str:
    """Return the error of a run."""
    try:
        train(tiny_model(), tiny_processor(), config)
    except AssistantError as error:
        return str(error)
    return "not refused"


@contextmanager
def shards_on_cpus() -> Iterator[None]:
    """Make accelerate shard weights over processes without GPUs, which it supports nowhere."""
    create = Trainer.create_accelerator_and_postprocess

    def create_with_shards(self: Trainer) -> None:
        create(self)
        state = self.accelerator.state
        if self.args.fsdp and state.distributed_type is DistributedType.MULTI_CPU:
            plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            if state.mixed_precision != "no":
                plugin.set_mixed_precision(state.mixed_precision)
            state.fsdp_plugin, state.distributed_type = plugin, DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.is_fsdp_enabled = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "create_accelerator_and_postprocess", create_with_shards)
        yield


def main() -> None:
    """Train, and record in `written-RANK.json` which other files than the runs' this process wrote.

    The errors of refused runs are in `refusals-RANK.json`.
    """
    rank, runs = os.environ["RANK"], json.loads(sys.argv[1])
    written: list[str] = []
    refusals: list[str] = []

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
        if run.get("refused"):
            refusals.append(refusal(config))
            continue
        with shards_on_cpus():
            train(model, tiny_processor(), config)
    root = Path(runs[0]["settings"]["out"]).parent
    mine = [path for path in written if path.startswith(str(root))]
    (root / f"written-{rank}.json").write_text(json.dumps(mine))
    (root / f"refusals-{rank}.json").write_text(json.dumps(refusals))
    leave_processes()


if __name__ == "__main__":
    main()
