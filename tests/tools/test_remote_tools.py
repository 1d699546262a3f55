"""The tools with a remote model, in LangChain's stock agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from assistant.tools import VisionToolkit
from assistant.vlm.engine.retries import RetryPolicy

from ..vlm.model_server import ModelServer, fails, says
from .fakes import SAMPLES, calls, script

BOX = '[{"bbox_2d": [100, 200, 500, 1000], "label": "the cat"}]'
WHERE = ("refer", {"expression": "the cat", "image": "cat.jpg"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setattr(
        RetryPolicy, "from_environment", lambda: RetryPolicy(first_wait=0.01, longest_wait=0.02)
    )
    with ModelServer(usually=says(BOX)) as served:
        yield served


def results(server: ModelServer, *wanted: AIMessage) -> list[ToolMessage]:
    tools = VisionToolkit(model=server.address, folders=(SAMPLES,)).get_tools()
    state = create_agent(script(*wanted), tools).invoke({"messages": [HumanMessage("Where is the cat?")]})
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def test_an_agent_gets_boxes_with_unknown_confidence(server: ModelServer) -> None:
    (found,) = results(server, calls(WHERE), AIMessage("There."))
    assert "- the cat: [45.1, 60, 225.5, 300], confidence unknown" in found.text
    assert found.artifact["boxes"][0]["score"] is None


def test_an_agent_gets_the_servers_confidence(server: ModelServer) -> None:
    server.usually = says(BOX, probability=0.83)
    (found,) = results(server, calls(WHERE), AIMessage("There."))
    assert "confidence 83%" in found.text


def test_a_failing_server_is_an_error_that_an_agent_can_try_again(server: ModelServer) -> None:
    server.script.extend([fails(503, "restarting")] * 4)
    first, second = results(server, calls(WHERE), calls(WHERE), AIMessage("There."))
    assert (first.status, second.status) == ("error", "success")
    assert "failed (503: restarting) (tried 4 times)" in first.text
