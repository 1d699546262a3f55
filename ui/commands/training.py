"""`assistant train`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DEFAULT_MODEL

DataOption = Annotated[
    Path, typer.Option(metavar="FOLDER", help="A folder with annotations.jsonl and tar shards of photos.")
]


def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where checkpoints and the adapter go.")],
    steps: Annotated[int | None, typer.Option(min=1, help="How many steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="The peak rate.")] = None,
    save_every: Annotated[int | None, typer.Option(min=1, help="Steps a checkpoint.")] = None,
    seed: Annotated[int | None, typer.Option(help="Determines data and weights.")] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="ADAPTER", help="Start from this adapter instead of a fresh one."),
    ] = None,
) -> None:
    """Train an adapter for nano: the linear layer and LoRA. A run that was stopped goes on where it was.

    Example:

      assistant train --data photos --out runs/first --steps 2300
    """
    from ...vlm.data.photos import PhotoFolder
    from ...vlm.training.trainer import TrainingConfig, train_preset

    given: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "save_every": save_every,
        "seed": seed,
        "init": init,
    }
    config = TrainingConfig(
        data=data, out=out, **{name: value for name, value in given.items() if value is not None}
    )
    PhotoFolder(config.data, config.split)  # what is wrong with the data is told before weights are fetched
    with redirect_stdout(sys.stderr):  # the Trainer prints what it logs
        adapter = train_preset(DEFAULT_MODEL, config)
    typer.echo(str(adapter))


__all__ = ["train"]
