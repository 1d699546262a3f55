"""The turn as a LangGraph graph: plan, run the steps one by one, answer.

It calls the same functions as `Assistant.ask`. Use it to put a turn into a larger graph or to stream its
states. LangGraph comes with `pip install 'visual-assistant[agents]'`.
"""

from __future__ import annotations

import time
from typing import Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from ..storage import NewTurn, StoredStep
from .plan import MessagePlanner, Plan, PlanContext
from .planner import Planner
from .turn import RunContext, finish, run_next


class TurnState(TypedDict, total=False):
    """The state of a turn; the input is `message` and, after earlier turns, `context`.

    `seconds` is the time spent on steps so far.
    """

    message: str
    context: PlanContext
    plan: Plan
    results: tuple[StoredStep, ...]
    seconds: float
    done: bool
    answer: NewTurn


TurnGraph = CompiledStateGraph[TurnState, RunContext, TurnState, TurnState]


def build_graph(planner: MessagePlanner | None = None) -> TurnGraph:
    """Return the graph; run it with `invoke({"message": …}, context=RunContext(model, image))`.

    The final state's `answer` is a `NewTurn`. The model and the image are in the run's context, which is
    never checkpointed.
    """

    def plan(state: TurnState, runtime: Runtime[RunContext]) -> TurnState:
        chosen = planner or Planner.for_model(runtime.context.model)
        planned = chosen.plan(state["message"], state.get("context", PlanContext()))
        if runtime.context.listener:
            runtime.context.listener.on_plan(planned)
        return {"plan": planned, "results": (), "seconds": 0.0}

    graph = StateGraph(TurnState, context_schema=RunContext)
    graph.add_node("plan", plan)
    graph.add_node("step", _step)
    graph.add_node("answer", _answer)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "step")
    graph.add_conditional_edges("step", _after_step)
    graph.add_edge("answer", END)
    return graph.compile()


def _step(state: TurnState, runtime: Runtime[RunContext]) -> TurnState:
    start = time.perf_counter()
    results = run_next(runtime.context, state["plan"], state["results"])
    if results is None:
        return {"done": True}
    return {"results": results, "seconds": state["seconds"] + time.perf_counter() - start, "done": False}


def _after_step(state: TurnState) -> Literal["step", "answer"]:
    return "answer" if state["done"] else "step"


def _answer(state: TurnState) -> TurnState:
    return {"answer": finish(state["plan"], state["results"], state["seconds"])}
