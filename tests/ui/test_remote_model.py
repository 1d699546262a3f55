"""`--model URL` and `--dialect` in every command, against a real server that is up, down or restarted."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.agent.planner import Planner
from assistant.ui.commands import page
from assistant.vlm.engine.retries import RetryPolicy

from ..vlm.model_server import ModelServer, drops, fails, is_silent, question, says, sends
from ..vlm.tiny import dog_records, write_photo_folder
from .conftest import Command

BOX = '[{"bbox_2d": [100, 200, 500, 900], "label": "the dog"}]'
WHERE = "[refer] the dog"
NOTE = "Note: the model's server reports no scores for its boxes.\n"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = RetryPolicy(connect=20, silence=20, answer=60, first_wait=0.01, longest_wait=0.02)
    monkeypatch.setattr(RetryPolicy, "from_environment", lambda: policy)
    for name in ("ASSISTANT_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(usually=says(BOX)) as served:
        yield served


@pytest.fixture
def dead() -> str:
    """The address of a server that is down."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1#qwen3-vl"


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


def test_confidence_comes_from_the_server_or_is_reported_as_unknown(
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
def test_wrong_use_of_a_dialect_is_reported(
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


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (fails(429, "slow down"), "is asked too much (429: slow down) (tried 4 times)"),
        (fails(500, "oops"), "failed (500: oops) (tried 4 times)"),
        (drops("[{"), "broke the connection off (tried 4 times)"),
        (sends(b"<html>hello</html>"), "does not speak the OpenAI chat API"),
    ],
    ids=["rate limit", "failure", "drop", "garbage"],
)
def test_every_server_failure_is_one_line_in_a_saved_turn(
    command: Command, photo: Path, server: ModelServer, trouble: object, message: str
) -> None:
    server.usually = trouble  # type: ignore[assignment]
    result = command("ask", photo, WHERE, "--model", server.address, "--json")
    assert result.code == 1
    answer = json.loads(result.out)
    assert message in answer["steps"][0]["error"]
    assert "\n" not in answer["answer"]
    server.usually = says(BOX)
    again = command("ask", photo, WHERE, "--model", server.address, "--session", answer["session"], "--json")
    assert json.loads(again.out)["turn"] == answer["turn"] + 1


def test_a_slow_server_is_one_line_and_the_turn_is_kept(
    command: Command, photo: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy, "from_environment", lambda: RetryPolicy(silence=1, answer=5))
    server.usually = is_silent()
    result = command("ask", photo, WHERE, "--model", f"{server.address}#qwen3-vl-4b")
    assert result.code == 1
    assert "was silent for 1 s" in result.out
    assert result.out.count("\n") == 1
    assert WHERE in command("sessions", "list").out


def test_a_dead_server_is_one_line_and_the_turn_is_kept(command: Command, photo: Path, dead: str) -> None:
    result = command("ask", photo, WHERE, "--model", dead)
    assert result.code == 1
    assert result.out.startswith("I could not do [refer]: nothing answers at http://127.0.0.1")
    assert result.out.count("\n") == 1
    assert WHERE in command("sessions", "list").out


def test_a_talk_outlives_the_server(command: Command, photo: Path, server: ModelServer) -> None:
    server.script.extend([says(BOX), *[fails(503, "restarting")] * 4, says(BOX)])
    lines = f"{WHERE}\n[refer] the cat\n{WHERE}\n"
    result = command("chat", photo, "--model", server.address, stdin=lines.encode())
    first, second, third = result.out.splitlines()
    assert first == "The dog is on the left."
    assert third.endswith("is on the left.")
    assert "failed (503: restarting) (tried 4 times)" in second


def test_free_talk_goes_to_the_model(
    command: Command, photo: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assistant.agent.plan import Plan, Step

    monkeypatch.setattr(Planner, "plan", lambda _, message, __: Plan((Step(None, message),), "it is talk"))
    server.usually = says("Hello, you.")
    assert command("ask", photo, "hello", "--model", server.address).out == "Hello, you.\n"


class TestEvaluating:
    def evaluate(self, command: Command, folder: Path, *options: object) -> object:
        photos = write_photo_folder(folder / "photos", dog_records(6))
        return command(
            "evaluate", "--data", photos, "--split", "train", "--out", folder / "report.json", *options
        )

    def test_a_model_elsewhere_is_measured(
        self, command: Command, server: ModelServer, tmp_path: Path
    ) -> None:
        options = ("--tasks", "refer,detection", "--limit", 4, "--model", server.address)
        result = self.evaluate(command, tmp_path, *options)
        assert result.code == 0  # type: ignore[attr-defined]
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["model"] == f"{server.address}#qwen3-vl-4b"
        assert report["weights_sha256"] is None
        assert report["tasks"]["refer"]["measures"]["malformed"]["value"] == 0.0
        assert [len(row["scores"]) for row in report["tasks"]["refer"]["answers"]] == [1] * 4

    def test_a_server_that_dies_leaves_the_tasks_that_are_done(
        self, command: Command, server: ModelServer, tmp_path: Path
    ) -> None:
        server.script.extend([says(BOX)] * 4)
        server.usually = fails(500, "gone")
        options = ("--tasks", "refer,detection", "--limit", 4, "--model", server.address)
        result = self.evaluate(command, tmp_path, *options)
        assert (result.code, result.err.count("Error: ")) == (1, 1)  # type: ignore[attr-defined]
        assert "failed (500: gone) (tried 4 times)" in result.err  # type: ignore[attr-defined]
        assert json.loads((tmp_path / "report.json").read_text())["unfinished"] == ["detection"]


def test_the_page_gets_the_address_and_the_dialect(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(page, "_run", lambda _, environment: given.update(environment) or 0)
    assert command("ui", "--model", "http://h/v1#m", "--dialect", "gemma", "--no-browser").code == 0
    assert given["ASSISTANT_MODEL"] == "http://h/v1?dialect=gemma#m"
