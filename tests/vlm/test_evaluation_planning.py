"""The planning suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.answers import Completion, Continuation
from assistant.vlm.data.messages import Message, read_messages
from assistant.vlm.evaluation.planning import evaluate_planning, same_plan

from .test_messages import line, write


class Scripted:
    """Writes one plan to every message."""

    name = "scripted"

    def __init__(self, text: str) -> None:
        self.text = text

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        return [Continuation(self.text, (self.text,), (0.9,)) for _ in completions]


@pytest.fixture
def messages(tmp_path: Path) -> list[Message]:
    asked = {"task": "vqa", "argument": "is it red?", "ref": "R"}
    write(
        tmp_path,
        line(),
        line(kind="region", region=[1, 2, 30, 40], steps=[asked]),
        line(kind="region", region=[1, 2, 30, 50], steps=[asked]),
    )
    return read_messages(tmp_path, held_out=False)


def values(report: dict[str, Any]) -> dict[str, tuple[float, int]]:
    measures = report["tasks"]["planning"]["measures"]
    return {name: (round(figure["value"], 2), figure["count"]) for name, figure in measures.items()}


def test_plans_are_counted_by_kind(messages: list[Message]) -> None:
    report = evaluate_planning(Scripted(" answer R Is it red"), messages)
    assert values(report) == {
        "plan": (0.67, 3),
        "tasks": (0.67, 3),
        "plan: refer": (0.0, 1),
        "plan: region": (1.0, 2),
    }
    assert [row["quality"] for row in report["tasks"]["planning"]["answers"]] == [0.0, 1.0, 1.0]


def test_a_wrong_argument_is_a_wrong_plan_with_the_right_tasks(messages: list[Message]) -> None:
    found = values(evaluate_planning(Scripted(" answer R is it blue?"), messages))
    assert (found["plan"], found["tasks"]) == ((0.0, 3), (0.67, 3))


@pytest.mark.parametrize(
    ("wanted", "written", "same"),
    [
        (" locate the red dog", " locate The red dog.", True),
        (" locate a dog ; caption", " locate the dog ; caption", True),
        (" locate the dog", " detect the dog", False),
        (" answer R is it?", " answer is it?", False),
        (" locate the dog ; caption", " caption ; locate the dog", False),
    ],
)
def test_plans_are_compared_without_spelling(wanted: str, written: str, same: bool) -> None:
    assert same_plan(wanted, written) == same
