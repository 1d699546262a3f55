"""`--planner`: a chat model plans the questions of `ask` and `chat`."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.agent.tool_calling_planner import ToolCallingPlanner
from assistant.storage import SessionStore

from ..tools.fakes import calls, script
from .conftest import Command

WHERE = "where is the dog?"
CAPTION = "A dog runs through the snow."


@pytest.fixture
def chat_model(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a chat model that plans a caption for every message."""

    def load(name: str) -> ToolCallingPlanner:
        assert name == "fake:model"
        return ToolCallingPlanner(script(calls(("caption", {}))))

    monkeypatch.setattr(ToolCallingPlanner, "load", load)
    return "fake:model"


def test_a_question_is_answered_as_the_chat_model_plans(
    command: Command, photo: Path, database: Path, chat_model: str
) -> None:
    result = command("ask", photo, WHERE, "--planner", chat_model)
    assert (result.code, result.out) == (0, f"{CAPTION}\n")
    with SessionStore.open(database) as store:
        [session] = store.list_sessions()
        [turn] = store.turns(session.id)
    assert turn.why == "[caption], chosen by the chat model"


def test_so_is_a_conversation(command: Command, photo: Path, chat_model: str) -> None:
    result = command("chat", photo, "--planner", chat_model, stdin=f"{WHERE}\n{WHERE}\n".encode())
    assert (result.code, result.out) == (0, f"{CAPTION}\n{CAPTION}\n")


@pytest.mark.parametrize("name", ["nonsense:model", "nonsense", ":", ":model", ""])
def test_an_unknown_provider_gets_the_form_of_a_name(command: Command, photo: Path, name: str) -> None:
    result = command("ask", photo, WHERE, "--planner", name)
    remedy = "there is no such provider; give PROVIDER:MODEL, such as ollama:qwen3"
    assert (result.code, result.out, result.err) == (1, "", f"Error: cannot plan with {name!r}: {remedy}\n")


@pytest.mark.parametrize("name", ["ask", "chat"])
def test_an_unknown_chat_model_is_reported_and_nothing_is_saved(
    command: Command, photo: Path, database: Path, name: str
) -> None:
    question = [WHERE] if name == "ask" else []
    result = command(name, photo, *question, "--planner", "nonsense", stdin=b"")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: cannot plan with 'nonsense': ")
    assert not database.exists()
