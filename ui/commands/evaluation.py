"""`assistant evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...vlm.errors import AssistantError
from ...vlm.models.presets import DEFAULT_MODEL
from .options import (
    BaseOption,
    DeviceOption,
    DialectOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    QuantizeOption,
    in_dialect,
    load_model,
)
from .output import INTERRUPTED, note, say, say_json

if TYPE_CHECKING:
    from ...vlm.evaluation.items import EvaluationSet


def evaluate(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The report to write, as JSON, with an HTML page next to it.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Annotated photos, records in a .jsonl file, or a --set's folder; not needed for planning.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split.  [default: val, or the set's usual one]")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="TASK,…", help="What to measure.  [default: all there is]")
    ] = None,
    published: Annotated[
        str | None, typer.Option("--set", metavar="NAME", help="The published dataset that FOLDER holds.")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="All sets of the paper's tables in FOLDER, next to its figures."),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many items per task.")] = None,
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom", help="Zoom in on small objects.  [default: on, off for published sets]"
        ),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    base: BaseOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    quantize: QuantizeOption = None,
    dialect: DialectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on annotated photos, on your own, or on a published dataset.

    The report is written after each task, so a stopped run keeps the finished tasks.

    Examples:

      assistant evaluate --data photos --tasks refer,caption --limit 100 --out report.json

      assistant evaluate --data own.jsonl --out after.json --model runs/own/adapter

      assistant evaluate --set okvqa --data okvqa --out report.json

      assistant evaluate --paper --data datasets --model minigpt-v2 --out report.json

      assistant evaluate --tasks planning --out report.json
    """
    from ...vlm.evaluation.evaluate import evaluate as run
    from ...vlm.evaluation.report import page_path, summary, write_report

    model = in_dialect(model, dialect)
    if out.is_dir():
        raise AssistantError(f"{out} is a folder: name a file for the report in it")
    if page_path(out) == out:
        raise typer.BadParameter(f"--out: {out} is where the page goes: name a file that ends in .json")
    if tasks == "planning":
        ignored = {"--data": data, "--split": split, "--set": published, "--base": base, "--zoom": zoom}
        ignored |= {"--dtype": dtype, "--device": device, "--quantize": quantize, "--paper": paper or None}
        _refuse(ignored, "--tasks planning only measures messages of the package")
        _evaluate_planning(out, limit, model, as_json=as_json)
        return
    if data is None:
        raise typer.BadParameter("--data: name the folder to measure on; only --tasks planning needs none")
    questions = _paper(data, split, tasks, published) if paper else _questions(data, split, tasks, published)
    done: list[str] = []

    def keep(report: dict[str, Any]) -> None:
        write_report(report, out, questions.read)
        done[:] = report["tasks"]

    try:
        zooms = not (paper or published) if zoom is None else zoom
        asked = load_model(model, base, zoom=zooms, dtype=dtype, device=device, quantize=quantize)
        report = run(asked, questions, limit, _show_progress, keep)
    except KeyboardInterrupt as stopped:
        if not done:
            raise
        note(f"Stopped: {out} holds the tasks that are done.")
        raise typer.Exit(INTERRUPTED) from stopped
    if as_json:
        say_json(summary(report))
    else:
        say("\n".join(_table_of_the_paper(report) if paper else _table(report)))
    note(f"Report: {out} and {page_path(out)}")


def _evaluate_planning(out: Path, limit: int | None, model: str, *, as_json: bool) -> None:
    """Measure plans on the package's messages; they have no images, so the report has no HTML page."""
    from ...vlm.data.messages import read_messages
    from ...vlm.evaluation.planning import evaluate_planning
    from ...vlm.evaluation.report import summary, write_json

    messages = read_messages(held_out=True)
    step = 1 if limit is None else max(1, -(-len(messages) // limit))
    report = evaluate_planning(load_model(model), messages[::step], _show_progress)
    write_json(report, out)
    if as_json:
        say_json(summary(report))
    else:
        say("\n".join(_table(report)))
    note(f"Report: {out}")


def _questions(data: Path, split: str | None, tasks: str | None, published: str | None) -> EvaluationSet:
    if published is not None:
        from ...vlm.evaluation.published import PUBLISHED, published_set

        if published not in PUBLISHED:
            raise typer.BadParameter(f"--set: {published!r} is none of {', '.join(PUBLISHED)}")
        if tasks is not None:
            raise typer.BadParameter("--tasks: a published --set has its own task")
        return published_set(published, data, split)
    from ...vlm.data.photos import PhotoFolder
    from ...vlm.data.sources.own import is_own
    from ...vlm.evaluation.own import OWN_SUITES, own_set
    from ...vlm.evaluation.suites import SUITES, photo_set

    own = is_own(data)
    known = OWN_SUITES if own else tuple(SUITES)
    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"--tasks: {unknown[0]!r} is none of {', '.join(known)}")
    if not own:
        return photo_set(PhotoFolder(data, split or "val"), names)
    if split is not None:
        raise typer.BadParameter(f"--split: {data} has no splits: keep records to measure on in another file")
    return own_set(data, names)


def _paper(data: Path, split: str | None, tasks: str | None, published: str | None) -> EvaluationSet:
    from ...vlm.evaluation.published import paper_set

    _refuse({"--split": split, "--tasks": tasks, "--set": published}, "--paper has its own sets and splits")
    return paper_set(data)


def _refuse(options: Mapping[str, object], reason: str) -> None:
    """Refuse options that would be ignored.

    Raises:
        BadParameter: one of them is given.
    """
    for name, given in options.items():
        if given is not None:
            raise typer.BadParameter(f"{name}: {reason}")


def _table_of_the_paper(report: dict[str, Any]) -> list[str]:
    """Return a row per set: our figure and the paper's, in percent."""
    from ...vlm.evaluation.published import PAPER

    lines = [f"{'':24}{'ours':>7}{'paper':>8}"]
    for name, theirs in PAPER.items():
        if name in report["tasks"]:
            ours = next(iter(report["tasks"][name]["measures"].values()))["value"]
            lines.append(f"{name:24}{100 * ours:7.1f}{theirs:8.2f}")
    missing = [name for name in PAPER if name not in report["tasks"]]
    return lines + ([f"missing: {', '.join(missing)}"] if missing else [])


def _table(report: dict[str, Any]) -> list[str]:
    rows = [
        (task, measure, figure)
        for task, result in report["tasks"].items()
        for measure, figure in result["measures"].items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for task, measure, figure in rows:
        low, high = figure["low"], figure["high"]
        interval = "" if low is None else f"[{low:.3f}, {high:.3f}]"
        name = f"{task:{widths[0]}}  {measure:{widths[1]}}"
        lines.append(f"{name}  {figure['value']:6.3f}  {interval:16}  n={figure['count']}")
    notes = [note for result in report["tasks"].values() for note in result["notes"]]
    return lines + notes


def _show_progress(task: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{task} {done}/{total}", err=True, nl=done == total)
    elif done == total:
        typer.echo(f"{task} {done}/{total}", err=True)
