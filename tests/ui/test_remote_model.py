"""`assistant ask --model URL` and `--dialect`, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.vlm.engine.patience import Patience

from ..vlm.model_server import ModelServer, question, says
from .conftest import Command

BOX = '[{"bbox_2d": [100, 200, 500, 900], "label": "the dog"}]'
WHERE = "[refer] the dog"
NOTE = "Note: the model's server does not tell how sure it is of its boxes.\n"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience(connect=20, silence=20, answer=60, first_wait=0.01, longest_wait=0.02)
    monkeypatch.setattr(Patience, "from_environment", lambda: patience)
    for name in ("ASSISTANT_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(usually=says(BOX)) as served:
        yield served


def test_a_question_is_answered_in_words_and_boxes(
    command: Command, photo: Path, server: ModelServer
) -> None:
    result = command("ask", photo, WHERE, "--model", server.address, "--json")
    assert result.code == 0
    answer = json.loads(result.out)
    assert answer["answer"] == "The dog is on the left."
    assert answer["model"] == f"{server.address}#qwen3-vl-4b"
    (step,) = answer["steps"]
    assert step["raw"] == "{<10><20><50><90>}"
    assert step["boxes"] == [
        {"phrase": "the dog", "box": [64.0, 96.0, 320.0, 432.0], "bins": [10, 20, 50, 90], "score": None}
    ]


def test_how_sure_the_model_is_comes_from_the_server_or_is_said_to_be_unknown(
    command: Command, photo: Path, server: ModelServer
) -> None:
    assert NOTE in command("ask", photo, WHERE, "--model", server.address).err
    server.usually = says(BOX, probability=0.9)
    result = command("ask", photo, WHERE, "--model", server.address)
    assert (result.code, NOTE in result.err) == (0, False)
    server.usually = says(BOX, probability=0.1)
    assert "I am not sure" in command("ask", photo, WHERE, "--model", server.address).out


def test_the_picture_is_drawn_on(command: Command, photo: Path, server: ModelServer, tmp_path: Path) -> None:
    out = tmp_path / "found.png"
    assert command("ask", photo, WHERE, "--model", server.address, "--save", out).code == 0
    assert out.stat().st_size > 0


def test_a_dialect_can_be_chosen(command: Command, photo: Path, server: ModelServer) -> None:
    server.usually = says("<loc0205><loc0103><loc0922><loc0512> dog")
    result = command("ask", photo, WHERE, "--model", server.address, "--dialect", "paligemma", "--json")
    answer = json.loads(result.out)
    assert answer["steps"][0]["boxes"][0]["bins"] == [10, 20, 50, 90]
    assert answer["model"] == f"{server.address}?dialect=paligemma#qwen3-vl-4b"
    assert question(server.chats[0]) == "detect the dog"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--dialect", "klingon", "--model", "http://h/v1"), "--dialect takes one of qwen2.5-vl, qwen3-vl"),
        (("--dialect", "plain"), "--dialect is for a model behind an address"),
    ],
)
def test_wrong_use_of_a_dialect_is_told(
    command: Command, photo: Path, options: tuple[str, ...], complaint: str
) -> None:
    result = command("ask", photo, WHERE, *options)
    assert result.code == 2
    assert complaint in result.complaint


@pytest.mark.parametrize("address", ["http://", "http://me:secret@host/v1", "http://host/v1?top_p=1"])
def test_what_is_no_address_is_one_line(command: Command, photo: Path, address: str) -> None:
    result = command("ask", photo, WHERE, "--model", address)
    assert (result.code, result.err.count("\n"), result.err.startswith("Error: ")) == (1, 1, True)
    assert "secret" not in result.err
