"""Read planner cases and write plans as JSON lines."""

from __future__ import annotations

import json

import pytest

from assistant.agent import Plan, PlanContext, Step
from assistant.ui.commands.cases import CaseError, plan_form, read_cases
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

TURN = {
    "user": "where is it",
    "steps": [{"task": "refer", "arg": "it", "boxes": [[1, 2, 3, 4]]}],
    "answer": "Here.",
}
GOOD = {"id": "a", "history": [TURN], "user": "what is this?", "region": [5, 6, 7, 8]}


def test_a_line_becomes_a_message_with_its_context() -> None:
    (case,) = read_cases(["", json.dumps(GOOD)])
    assert (case.id, case.message, case.context.region) == ("a", "what is this?", Box(5, 6, 7, 8))
    (step,) = case.context.turns[0].steps
    assert (step.task, step.argument, step.boxes) == (Task.REFER, "it", (Box(1, 2, 3, 4),))


def test_chat_steps_of_the_history_have_no_task() -> None:
    turn = {"user": "hi", "steps": [{"task": "chat"}]}
    (case,) = read_cases([json.dumps({**GOOD, "history": [turn]})])
    assert case.context.turns[0].steps[0].task is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "line 1: Input should be a valid dictionary"),
        (json.dumps({**GOOD, "user": 3}), "line 1: user: Input should be a valid string"),
        (json.dumps({"user": "x"}), "line 1: id: Field required"),
        (json.dumps({**GOOD, "region": [1, 2, 3]}), "line 1: region: .*four whole numbers are wanted"),
        (json.dumps({**GOOD, "region": [9, 2, 3, 400]}), "line 1: region: .*not a box"),
        (json.dumps({**GOOD, "history": 1}), "line 1: history: Input should be a valid list"),
        (
            json.dumps({**GOOD, "history": [{**TURN, "steps": [{"task": "dance"}]}]}),
            "line 1: history.0.steps.0.task: .*no such task: 'dance'",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_field(line: str, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        list(read_cases([line]))


def test_a_plan_is_written_with_its_region_and_chat_by_name() -> None:
    plan = Plan((Step(Task.IDENTIFY, "", Box(1, 2, 3, 4)), Step(None, "hé")), "why")
    identify = {"task": "identify", "argument": "", "region": [1, 2, 3, 4]}
    chat = {"task": "chat", "argument": "hé", "region": None}
    assert plan_form("a", plan) == {"id": "a", "steps": [identify, chat]}


def test_a_context_is_empty_by_default() -> None:
    assert PlanContext() == PlanContext((), None)
