"""`assistant evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.tasks import Task
from .options import DEFAULT_MODEL, ModelOption, load_model


def evaluate(
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="A folder with annotations.jsonl and tar shards of photos.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the report goes, as JSON.")],
    split: Annotated[str, typer.Option(help="The photos of this split.")] = "val",
    tasks: Annotated[
        str, typer.Option(metavar="TASK,…", help="What to measure.")
    ] = "refer,caption,vqa,identify,detection",
    limit: Annotated[int | None, typer.Option(min=1, help="The most items a task.")] = None,
    model: ModelOption = DEFAULT_MODEL,
) -> None:
    """Measure a model on annotated photos.

    Example:

      assistant evaluate --data photos --split val --tasks refer,caption --limit 100 --out report.json
    """
    from ...vlm.data.photos import PhotoFolder
    from ...vlm.evaluation.evaluate import evaluate as run
    from ...vlm.evaluation.evaluate import write_report

    wanted = _tasks(tasks)
    folder = PhotoFolder(data, split)
    if out.is_dir():
        raise AssistantError(f"{out} is a folder: name a file for the report in it")
    report = run(load_model(model), folder, wanted, limit, _show_progress)
    write_report(report, out)
    for name, result in report["tasks"].items():
        for measure, figure in result["measures"].items():
            low, high = figure["low"], figure["high"]
            interval = "" if low is None else f"[{low:.3f}, {high:.3f}]"
            typer.echo(f"{name:10} {measure:46} {figure['value']:.3f}  {interval:14}  n={figure['count']}")
    typer.echo(f"Report: {out}", err=True)


def _tasks(text: str) -> list[Task]:
    from ...vlm.evaluation.suites import SUITES

    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in [task.value for task in SUITES]]
    if unknown:
        raise typer.BadParameter(f"--tasks: {unknown[0]!r} is none of {', '.join(SUITES)}")
    return [Task(name) for name in names]


def _show_progress(task: Task, done: int, total: int) -> None:
    end = "\n" if done == total or not sys.stderr.isatty() else ""
    if end or sys.stderr.isatty():
        typer.echo(f"\r{task.identifier} {done}/{total}{end}", err=True, nl=False)


__all__ = ["evaluate"]
