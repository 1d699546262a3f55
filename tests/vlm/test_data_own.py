"""Records that a person writes by hand: what each line means, and how a mistake is told."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.data.broken import Skipped
from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.data.mixture import open_mixture
from assistant.vlm.data.records import Record, TaskTurn
from assistant.vlm.data.sources.base import read
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.errors import DataError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import ABSENT_ANSWER, Task

from .tiny import picture

Line = dict[str, Any]
PHOTO = "photos/1.png"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    picture(1, width=40, height=20).save(tmp_path / PHOTO)
    return tmp_path / "own.jsonl"


def write(file: Path, *lines: Line | str) -> None:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def records(file: Path, *lines: Line | str, skipped: Skipped | None = None) -> list[Record]:
    write(file, *lines)
    return list(read(OwnRecords(file), skipped))


MEANT = [
    pytest.param(
        {"task": "refer", "ask": "my red mug", "answer": [[4, 2, 20, 10]]},
        TaskTurn(Task.REFER, "my red mug", "{<10><10><50><50>}"),
        id="refer",
    ),
    pytest.param(
        {"task": "detection", "ask": "mugs", "answer": [[4, 2, 20, 10], [30, 0, 40, 20]]},
        TaskTurn(Task.DETECTION, "mugs", "<p>mugs</p> {<10><10><50><50>}<delim>{<75><0><100><100>}"),
        id="detection",
    ),
    pytest.param(
        {"task": "detection", "answer": {"mug": [[4, 2, 20, 10]], "spoon": [[30, 0, 40, 20]]}},
        TaskTurn(
            Task.DETECTION,
            "mug, spoon",
            "<p>mug</p> {<10><10><50><50>} <p>spoon</p> {<75><0><100><100>}",
        ),
        id="detection of several things",
    ),
    pytest.param(
        {"task": "refer", "ask": "a fork", "answer": "not in the image"},
        TaskTurn(Task.REFER, "a fork", ABSENT_ANSWER),
        id="refer to what is not there",
    ),
    pytest.param(
        {"task": "detection", "ask": "forks", "answer": "not in the image"},
        TaskTurn(Task.DETECTION, "forks", ABSENT_ANSWER),
        id="detection of what is not there",
    ),
    pytest.param(
        {"task": "identify", "region": [4, 2, 20, 10], "answer": "my red mug"},
        TaskTurn(Task.IDENTIFY, "", "my red mug", Box(10, 10, 50, 50)),
        id="identify",
    ),
    pytest.param(
        {"task": "caption", "answer": "my desk"}, TaskTurn(Task.CAPTION, "", "my desk"), id="caption"
    ),
    pytest.param(
        {"task": "vqa", "ask": "whose mug is it?", "answer": "mine"},
        TaskTurn(Task.VQA, "whose mug is it?", "mine"),
        id="vqa",
    ),
    pytest.param(
        {
            "task": "grounding",
            "answer": "my mug by the window",
            "boxes": {"the window": [[30, 0, 40, 20]], "my mug": [[4, 2, 20, 10]]},
        },
        TaskTurn(
            Task.GROUNDING,
            "",
            "<p>my mug</p>{<10><10><50><50>} by <p>the window</p>{<75><0><100><100>}",
        ),
        id="grounding",
    ),
    pytest.param(
        {"ask": "what is on my desk?", "answer": "A mug."},
        TaskTurn(None, "what is on my desk?", "A mug."),
        id="free conversation",
    ),
]

MISTAKES = [
    pytest.param("{oops", "not JSON", id="not JSON"),
    pytest.param("[1]", "a line is one object", id="a list"),
    pytest.param({"aks": "x", "answer": "y"}, "aks: Extra inputs are not permitted", id="unknown key"),
    pytest.param({"ask": "what?"}, "answer: Field required", id="no answer"),
    pytest.param({"ask": "what?", "answer": " "}, "there is no answer to learn", id="empty answer"),
    pytest.param({"answer": "a mug"}, "nothing is asked", id="nothing asked"),
    pytest.param({"task": "reffer", "answer": "x"}, "task: Input should be 'caption'", id="unknown task"),
    pytest.param({"task": "vqa", "answer": "x"}, r"\[vqa\] needs a question or a phrase", id="no question"),
    pytest.param({"task": "identify", "answer": "x"}, r"\[identify\] needs a region", id="no region"),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[0, 0, 41, 20]]},
        r"answer: \[0, 0, 41, 20\] is no box within the picture of 40 x 20 pixels",
        id="outside",
    ),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[20, 0, 10, 20]]}, "is no box within", id="swapped"
    ),
    pytest.param({"task": "refer", "ask": "mug", "answer": [0, 0, 1, 1]}, "answer: 0 is no box", id="flat"),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[0, 0, 1, 1], [2, 2, 3, 3]]}, "means one thing", id="two"
    ),
    pytest.param({"task": "refer", "ask": "mug", "answer": "left"}, "a list of boxes is wanted", id="prose"),
    pytest.param({"task": "caption", "answer": [[0, 0, 1, 1]]}, "answered by text", id="a box as caption"),
    pytest.param(
        {"task": "grounding", "answer": "a mug", "boxes": {"spoon": [[0, 0, 1, 1]]}},
        "boxes: the answer does not say 'spoon'",
        id="phrase not said",
    ),
    pytest.param({"task": "grounding", "answer": "a mug"}, "boxes: name the phrases", id="no boxes"),
    pytest.param(
        {"task": "caption", "answer": "a mug", "boxes": {"mug": [[0, 0, 1, 1]]}}, "only the phr", id="boxes"
    ),
    pytest.param(
        {"task": "caption", "region": [0, 0, 1, 1], "answer": "a mug"},
        r"region: \[caption\] has no place for it; leave it out",
        id="a region of a caption",
    ),
    pytest.param(
        {"task": "caption", "ask": "what is it?", "answer": "a mug"},
        r"ask: \[caption\] has no place for it",
        id="a question for a caption",
    ),
    pytest.param(
        {"task": "identify", "ask": "what is it?", "region": [0, 0, 1, 1], "answer": "a mug"},
        r"ask: \[identify\] has no place for it",
        id="a question beside a region",
    ),
    pytest.param(
        {"task": "grounding", "region": [0, 0, 1, 1], "answer": "a mug", "boxes": {"a mug": [[0, 0, 1, 1]]}},
        r"region: \[grounding\] has no place for it",
        id="a region of a grounded caption",
    ),
    pytest.param({"ask": "a", "answer": "\ud83d"}, r"half a character, '\\ud83d', cannot", id="half"),
    pytest.param(
        {"ask": "a", "answer": "b", "conversation": []}, "ask: Extra inputs are not permitted", id="both"
    ),
    pytest.param({"conversation": []}, "at least one turn", id="empty conversation"),
    pytest.param(
        {"conversation": [{"ask": "a", "answer": "b"}, {"ask": "c"}]},
        r"conversation\.1\.answer: Field required",
        id="a turn without answer",
    ),
    pytest.param({"image": "photos/2.png", "ask": "a", "answer": "b"}, "image: .*no such file", id="gone"),
]


@pytest.mark.parametrize(("line", "meant"), MEANT)
def test_a_line_means_what_its_task_says(file: Path, line: Line, meant: TaskTurn) -> None:
    (record,) = records(file, {"image": PHOTO} | line)
    assert record.turns == (meant,)
    assert record.picture is not None
    assert record.picture.read().size == (40, 20)


def test_a_conversation_holds_its_turns_in_order(file: Path) -> None:
    lines = [MEANT[index].values[0] for index in (4, 0, 7)]
    (record,) = records(file, {"image": PHOTO, "conversation": lines})
    assert record.turns == tuple(MEANT[index].values[1] for index in (4, 0, 7))


def test_a_line_needs_no_picture_where_none_is_talked_of(file: Path) -> None:
    (record,) = records(file, {"ask": "who are you?", "answer": "An assistant."})
    assert record == Record(None, (TaskTurn(None, "who are you?", "An assistant."),))


def test_empty_lines_are_no_mistake(file: Path) -> None:
    assert len(records(file, "", {"ask": "a", "answer": "b"}, "")) == 1


@pytest.mark.parametrize(("line", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_line(file: Path, line: Line | str, message: str) -> None:
    good: Line = {"image": PHOTO, "ask": "a", "answer": "b"}
    wrong = line if isinstance(line, str) else {"image": PHOTO} | line
    with pytest.raises(DataError, match=rf"own\.jsonl:2: .*{message}") as caught:
        records(file, good, wrong)
    assert "\n" not in str(caught.value)


def test_a_box_without_a_picture_is_a_mistake(file: Path) -> None:
    with pytest.raises(DataError, match=r"own\.jsonl:1: answer: there is a box but no picture"):
        records(file, {"task": "refer", "ask": "mug", "answer": [[0, 0, 1, 1]]})
    with pytest.raises(DataError, match=r"own\.jsonl:1: \[caption\] is about a picture, and there is none"):
        records(file, {"task": "caption", "answer": "a mug"})


def test_lines_with_mistakes_are_left_out_and_counted_where_that_is_wished(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good: Line = {"image": PHOTO, "ask": "a", "answer": "b"}
    skipped = Skipped(file)
    with caplog.at_level(logging.WARNING):
        found = records(
            file, "{oops", good, {"image": "gone.png", "ask": "a", "answer": "b"}, skipped=skipped
        )
    assert len(found) == 1
    assert "own.jsonl:1: not JSON" in caplog.text
    assert "own.jsonl:3: image: " in caplog.text
    assert skipped.count == 2


def test_the_example_of_the_documentation_is_read(file: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "own-data.md"
    example = document.read_text(encoding="utf-8").split("```jsonl\n")[1].split("```")[0]
    for name in ("desk.jpg", "kitchen.jpg"):
        picture(0, width=800, height=600).save(file.parent / "photos" / name)
    assert len(records(file, *example.splitlines())) == len(example.splitlines())


def test_a_run_learns_from_the_file_as_from_a_folder_of_photos(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_CACHE", str(file.parent / "cache"))
    write(file, {"image": PHOTO} | MEANT[0].values[0], {"ask": "who are you?", "answer": "An assistant."})
    mixture = open_mixture(file, "train", MixtureConfig(), 6, seed=0)
    examples = [mixture[index] for index in range(6)]
    assert [example.image is None for example in examples].count(True) == 3
    answers = {sample.turn.answer for example in examples for sample in example.samples}
    assert answers == {"{<10><10><50><50>}", "An assistant."}
