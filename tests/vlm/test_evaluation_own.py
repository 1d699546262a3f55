"""Evaluation on records written by hand: the questions, and the score of each task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.errors import DataError
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.own import own_set
from assistant.vlm.evaluation.report import page_path, write_report
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine
from .tiny import picture

Line = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    picture(1, width=100, height=100).save(tmp_path / "photos" / "1.png")
    return tmp_path / "own.jsonl"


def measured(file: Path, engine: ScriptedEngine, *lines: Line, image: str = "photos/1.png") -> dict[str, Any]:
    """Return the measures of each task."""
    named = {"image": image} if image else {}
    file.write_text("".join(json.dumps(named | line) + "\n" for line in lines))
    report = evaluate(VisionLanguageModel(engine), own_set(file))
    write_report(report, file.with_suffix(".json"), own_set(file).read)
    return {
        task: {name: figure["value"] for name, figure in result["measures"].items()}
        for task, result in report["tasks"].items()
    }


def test_text_is_compared_exactly_and_by_common_words(file: Path) -> None:
    engine = ScriptedEngine({Task.VQA: lambda it: "Rex." if "dog" in it.argument else "a red mug"})
    figures = measured(
        file,
        engine,
        {"task": "vqa", "ask": "who is the dog?", "answer": "rex"},
        {"task": "vqa", "ask": "what is it?", "answer": "the blue mug"},
    )
    assert figures == {"vqa": {"exact": 0.5, "word_f1": 0.75, "malformed": 0}}


def test_any_of_the_captions_of_a_photo_is_right(file: Path) -> None:
    engine = ScriptedEngine({Task.CAPTION: "Rex on the sofa"})
    figures = measured(
        file,
        engine,
        {"task": "caption", "answer": "a dog"},
        {"task": "caption", "answer": "Rex on the sofa"},
    )
    assert figures["caption"]["exact"] == 1
    assert len(engine.requests) == 1


def test_a_box_is_right_from_an_iou_of_a_half_and_absence_is_measured_separately(file: Path) -> None:
    boxes = {"Rex": "{<10><10><50><50>}", "my mug": "{<0><0><10><10>}"}
    engine = ScriptedEngine({Task.REFER: lambda it: boxes.get(it.argument, "not in the image")})
    figures = measured(
        file,
        engine,
        {"task": "refer", "ask": "Rex", "answer": [[10, 10, 50, 42]]},
        {"task": "refer", "ask": "my mug", "answer": [[50, 50, 90, 90]]},
        {"task": "refer", "ask": "a fork", "answer": "not in the image"},
    )
    assert figures["refer"] == {
        "accuracy_at_50": 0.5, "mean_iou": pytest.approx(0.4), "refused_absent": 1, "malformed": 0,
    }  # fmt: skip


def test_boxes_of_detection_and_grounding_are_counted(file: Path) -> None:
    engine = ScriptedEngine(
        {
            Task.DETECTION: "<p>pens</p> {<0><0><10><10>}<delim>{<50><50><60><60>}<delim>{<80><80><90><90>}",
            Task.GROUNDING: "<p>a red mug</p>{<0><0><10><10>} here",
        }
    )
    both = [[0, 0, 10, 10], [20, 20, 30, 30]]
    figures = measured(
        file,
        engine,
        {"task": "detection", "ask": "pens", "answer": both},
        {"task": "grounding", "answer": "a red mug there", "boxes": {"a red mug": both}},
    )
    assert figures["detection"]["recall_at_50"] == 0.5
    assert figures["detection"]["precision_at_50"] == pytest.approx(1 / 3)
    assert (figures["grounding"]["recall_at_50"], figures["grounding"]["precision_at_50"]) == (0.5, 1)
    assert figures["grounding"]["word_f1"] == pytest.approx(2 / 3)


def test_later_turns_have_the_right_answers_in_their_history(file: Path) -> None:
    engine = ScriptedEngine({None: "Soup."})
    talk = [
        {"task": "refer", "ask": "the pot", "answer": [[10, 10, 50, 50]]},
        {"ask": "what is in it?", "answer": "Soup."},
    ]
    figures = measured(file, engine, {"conversation": talk})
    assert figures["chat"]["exact"] == 1
    [history] = next(request for request in engine.requests if request.task is None).history
    assert history.user == "[refer] give me the location of the pot"
    assert history.answer == "{<10><10><50><50>}"


def test_a_region_is_cropped(file: Path) -> None:
    engine = ScriptedEngine({Task.REFER: "{<0><0><50><100>}"})
    figures = measured(
        file, engine, {"task": "refer", "region": [40, 40, 60, 60], "ask": "x", "answer": [[37, 37, 50, 63]]}
    )
    assert figures["refer"]["mean_iou"] == 1
    [request] = engine.requests
    assert request.image is not None
    assert request.image.size == (26, 26)


def test_a_question_without_a_photo_is_asked_without_one(file: Path) -> None:
    engine = ScriptedEngine({None: "Hello."})
    figures = measured(file, engine, {"ask": "who are you?", "answer": "Hello."}, image="")
    assert figures["chat"]["exact"] == 1
    assert engine.requests[0].image is None
    assert "<img" not in page_path(file.with_suffix(".json")).read_text(encoding="utf-8")


def test_a_task_without_lines_is_named(file: Path) -> None:
    file.write_text('{"ask": "who are you?", "answer": "Me."}\n')
    with pytest.raises(DataError, match=r"own\.jsonl has no line for 'refer': choose among chat"):
        own_set(file, ["refer"])
