"""The turn as a graph gives the same results as the function."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.agent.graph import TurnGraph, build_graph
from assistant.agent.plan import PlanContext
from assistant.agent.planner import Planner
from assistant.agent.turn import RunContext, run
from assistant.storage import NewTurn
from assistant.vlm.errors import AssistantError
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from ..ui.fakes import Answer, ScriptedEngine
from .test_listening import Listener
from .test_planner import DOG
from .test_turn import picture

BOX = "{<1><2><3><4>}"
THINGS = ("cup", "fork", "jar", "pan", "pot", "tap", "vase", "bowl", "dish")


@pytest.fixture(scope="module")
def graph() -> TurnGraph:
    return build_graph()


def same(first: NewTurn, second: NewTurn) -> bool:
    """Return whether two results are equal except for their times."""
    return timeless(first) == timeless(second)


def timeless(result: NewTurn) -> NewTurn:
    steps = tuple(replace(step, seconds=0.0) for step in result.steps)
    return replace(result, steps=steps, seconds=0.0)


@pytest.mark.parametrize(
    ("message", "refer", "patience"),
    [
        pytest.param("where is the cat?", BOX, 100, id="one step"),
        pytest.param("find the cat. what colour is it?", BOX, 100, id="its box"),
        pytest.param("and the cat?", BOX, 100, id="an earlier turn"),
        pytest.param("find the cat and describe the picture", AssistantError("no"), 100, id="failed"),
        pytest.param("describe the picture and find the cat", BOX, 3, id="stopped"),
        pytest.param("describe the picture and find the cat", BOX, 0, id="stopped at once"),
        pytest.param(". ".join(f"find the {thing}" for thing in THINGS), BOX, 100, id="too many steps"),
    ],
)
@pytest.mark.parametrize("verify", [False, True])
def test_graph_and_function_agree(
    graph: TurnGraph, message: str, refer: Answer, patience: int, verify: bool
) -> None:
    context = PlanContext((DOG,))
    plan = Planner(PlanWriter()).plan(message, context)
    by_function, by_graph = ScriptedEngine({Task.REFER: refer}), ScriptedEngine({Task.REFER: refer})
    function_listener, graph_listener = Listener(patience), Listener(patience)
    expected = run(VisionLanguageModel(by_function), plan, picture(), (), function_listener, verify)
    run_context = RunContext(VisionLanguageModel(by_graph), picture(), (), graph_listener, verify)
    state = graph.invoke({"message": message, "context": context}, context=run_context)
    assert same(state["answer"], expected)
    assert [(it.task, it.argument) for it in by_graph.requests] == [
        (it.task, it.argument) for it in by_function.requests
    ]
    assert [kind for kind, _ in graph_listener.events] == [kind for kind, _ in function_listener.events]


def test_each_step_is_a_state_of_its_own(graph: TurnGraph) -> None:
    context = RunContext(VisionLanguageModel(ScriptedEngine()), picture())
    states = graph.stream(
        {"message": "describe the picture and find the dog"}, context=context, stream_mode="values"
    )
    assert [len(state["results"]) for state in states if "results" in state] == [0, 1, 2, 2, 2]
