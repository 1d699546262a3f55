"""`assistant evaluate`: its measures, output, report and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.ui.commands import evaluation
from assistant.vlm.tasks import Task

from ..vlm.tiny import dog_records, picture, write_photo_folder
from .conftest import Command, Result
from .fakes import ScriptedEngine

Evaluate = Callable[..., Result]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "report.json"


@pytest.fixture
def evaluate(command: Command, tmp_path: Path, out: Path) -> Evaluate:
    """Evaluate on a split of three photos."""
    photos = write_photo_folder(tmp_path / "photos", dog_records(3))
    return lambda *options: command("evaluate", "--data", photos, "--split", "train", "--out", out, *options)


def written(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return report


def test_the_figures_are_printed_with_their_intervals(evaluate: Evaluate, out: Path) -> None:
    result = evaluate("--tasks", "refer,detection")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["refer", "accuracy_at_50_unique", "0.667", "[0.208,", "0.939]", "n=3"]
    assert [line.split()[0] for line in lines] == ["refer"] * 7 + ["detection"] * 4
    assert "refer 3/3" in result.err
    assert result.err.endswith(f"Report: {out} and {out.with_suffix('.html')}\n")
    assert "accuracy_at_50_unique" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_without_tasks_all_that_the_photos_allow_is_measured(evaluate: Evaluate, out: Path) -> None:
    assert evaluate().code == 0
    assert list(written(out)["tasks"]) == [
        "refer", "caption", "counting", "identify", "detection", "grounding", "hallucination", "absent",
        "presence",
    ]  # fmt: skip


def test_the_mean_of_nothing_has_no_interval(evaluate: Evaluate, engine: ScriptedEngine) -> None:
    engine.answers[Task.GROUNDING] = "a dog in the snow"
    lines = [line.split() for line in evaluate("--tasks", "grounding").out.splitlines()]
    assert ["grounding", "phrase_mean_iou", "0.000", "n=0"] in lines


def test_json_is_the_report_without_the_answers(evaluate: Evaluate, out: Path) -> None:
    result = evaluate("--tasks", "refer", "--json")
    printed, report = json.loads(result.out), written(out)
    assert len(report["tasks"]["refer"].pop("answers")) == 3
    assert printed == report


def test_a_run_that_is_stopped_leaves_a_report_of_what_is_done(
    evaluate: Evaluate, engine: ScriptedEngine, out: Path
) -> None:
    engine.answers[Task.CAPTION] = KeyboardInterrupt()
    result = evaluate("--tasks", "refer,caption,identify")
    assert (result.code, result.out) == (130, "")
    assert result.err == f"refer 3/3\nStopped: {out} holds the tasks that are done.\n"
    report = written(out)
    assert (list(report["tasks"]), report["unfinished"]) == (["refer"], ["caption", "identify"])
    assert "caption, identify still to run" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_a_run_that_is_stopped_before_a_task_is_done_promises_nothing(
    evaluate: Evaluate, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    engine.answers[Task.REFER] = KeyboardInterrupt()
    result = evaluate("--tasks", "refer,caption")
    assert (result.code, result.out, result.err) == (130, "", "Stopped.\n")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out.unlink()
    monkeypatch.setattr(evaluation, "load_model", stopped)
    result = evaluate("--tasks", "refer,caption")
    assert (result.code, result.out, result.err, out.exists()) == (130, "", "Stopped.\n", False)


def test_a_published_set_is_measured_by_its_own_measure(command: Command, tmp_path: Path, out: Path) -> None:
    row = {"image": "1.png", "caption": "The cat is behind the laptop.", "label": 1}
    folder = tmp_path / "vsr"
    (folder / "splits" / "zeroshot").mkdir(parents=True)
    (folder / "splits" / "zeroshot" / "test.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "images").mkdir()
    (write_photo_folder(tmp_path / "photos", dog_records(1)) / "photos-0.tar").rename(
        folder / "images" / "1.png"
    )
    result = command("evaluate", "--set", "vsr", "--data", tmp_path, "--out", out)
    assert result.code == 1
    assert result.err.count("Error: ") == 1
    assert "1.png" in result.err  # a tar file with the wrong extension
    assert written(out)["unfinished"] == ["vsr"]


def test_records_of_ones_own_are_measured_and_have_no_splits(
    command: Command, tmp_path: Path, out: Path
) -> None:
    picture(1).save(tmp_path / "1.png")
    own = tmp_path / "own.jsonl"
    own.write_text('{"image": "1.png", "task": "vqa", "ask": "what colour is it?", "answer": "brown"}\n')
    result = command("evaluate", "--data", own, "--out", out)
    assert result.code == 0, result.err
    assert result.out.splitlines()[0].split()[:3] == ["vqa", "exact", "1.000"]
    assert written(out)["data"] == {"name": "own.jsonl", "split": "", "pictures": 1, "limit": None}
    result = command("evaluate", "--data", own, "--out", out, "--split", "val")
    assert result.code == 2
    assert "has no splits" in result.complaint


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--tasks", "refer,segment"), "--tasks: 'segment' is none of phrase_refer, phrase_identify"),
        (("--set", "imagenet"), "--set: 'imagenet' is none of refcoco, refcoco_plus"),
        (("--set", "vsr", "--tasks", "refer"), "--tasks: a published --set has its own task"),
        (("--tasks", "planning"), "--data: --tasks planning only measures messages of the package"),
        (("--out", "report.html"), "name a file that ends in .json"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_wrong_use_is_reported_before_the_model_runs(
    evaluate: Evaluate, engine: ScriptedEngine, out: Path, options: tuple[str, ...], complaint: str
) -> None:
    result = evaluate(*options)
    assert (result.code, result.out) == (2, "")
    assert complaint in result.complaint
    assert engine.requests == []
    assert not out.exists()
