"""`assistant train`."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from ..loading import quieten_libraries
from .output import INTERRUPTED, note, say

Switch = bool | None


def train(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Annotated photos, records in a .jsonl file, or datasets.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where checkpoints, log and adapter go.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the settings of a stage, such as nano-1 or 7b-1.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in TOML; they win over those of the stage.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FOLDER", help="Train for this model instead of nano.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="ADAPTER",
            help="Start from this adapter: nano, a folder, or none. [default: nano for a .jsonl file]",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step, over all processes.")] = None,
    gradient_accumulation: Annotated[
        int | None, typer.Option(min=1, help="Micro-batches per step and process.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak learning rate of LoRA.")] = None,
    projection_learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate of the linear layer.")
    ] = None,
    warmup_steps: Annotated[int | None, typer.Option(min=0, help="Steps until the peak.")] = None,
    save_every: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints.")] = None,
    sample_every: Annotated[
        int | None, typer.Option(min=0, help="Steps between sheets of sample answers; 0: none.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of data order and weights.")] = None,
    split: Annotated[str | None, typer.Option(help="The split of the annotated photos.")] = None,
    skip_broken: Annotated[
        Switch, typer.Option("--skip-broken/--no-skip-broken", help="Leave broken rows out and count them.")
    ] = None,
    whiten: Annotated[
        Switch,
        typer.Option("--whiten/--no-whiten", help="Whiten the features for the linear layer: learns faster."),
    ] = None,
    compile_layers: Annotated[
        Switch,
        typer.Option("--compile/--no-compile", help="Slower start, faster steps."),
    ] = None,
    gradient_checkpointing: Annotated[
        Switch,
        typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", help="Less memory, more time."),
    ] = None,
    fsdp: Annotated[
        Switch, typer.Option("--fsdp/--no-fsdp", help="Shard the weights over torchrun's processes.")
    ] = None,
    self_critical: Annotated[
        int | None,
        typer.Option(min=0, help="Sampled answers per question for self-critical training; 0: off."),
    ] = None,
    feature_cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Cache the vision tower's features of each image there."),
    ] = None,
) -> None:
    """Train an adapter: the linear layer and LoRA. A stopped run resumes where it was.

    Examples:

      assistant train --data own.jsonl --out runs/own

      assistant train --data photos --out runs/first --steps 2300

      assistant train --stage nano-2 --data photos --init runs/one/adapter --out runs/two

      assistant train --config mine.toml --seed 1
    """
    given = {name: value for name, value in locals().items() if value is not None}
    _run(given.pop("stage", None), given.pop("config", None), given)


def _run(stage: str | None, file: Path | None, options: dict[str, Any]) -> None:
    """Train with the given settings; only the first of several processes prints the adapter's path."""
    from ...vlm.training.config import load_config
    from ...vlm.training.processes import is_first_process, leave_processes
    from ...vlm.training.run import train_named
    from ...vlm.training.stopping import TrainingStoppedError

    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    quieten_libraries()
    settings = load_config(stage, file, options)
    try:
        with redirect_stdout(sys.stderr):  # libraries print
            adapter = train_named(settings)
        leave_processes()
    except TrainingStoppedError as stopped:
        leave_processes()
        if is_first_process():
            note(str(stopped))
        raise typer.Exit(INTERRUPTED) from stopped
    if is_first_process():
        say(str(adapter))
