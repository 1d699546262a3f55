"""The options of `ask` and `chat` that choose a model and say how it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.ui.commands import model_options
from assistant.vlm.generation_options import GenerationOptions
from assistant.vlm.vision_language_model import VisionLanguageModel

from .conftest import Command
from .fakes import ScriptedEngine

GIVEN = (
    "--temperature",
    "0.6",
    "--top-p",
    "0.9",
    "--repetition-penalty",
    "1.1",
    "--max-tokens",
    "30",
    "--beams",
    "3",
)
SAMPLED = GenerationOptions(0.6, 0.9, 1.1, 30, seed=4, beams=3)


@pytest.mark.parametrize("arguments", [("ask", "PHOTO", "[caption]"), ("chat", "PHOTO")])
def test_every_request_has_the_options(
    command: Command, engine: ScriptedEngine, photo: Path, arguments: tuple[str, ...]
) -> None:
    words = [photo if it == "PHOTO" else it for it in arguments]
    assert command(*words, *GIVEN, "--seed", "4", stdin=b"[caption]\n").code == 0
    assert {request.options for request in engine.requests} == {SAMPLED}
    engine.requests.clear()
    assert command(*words, stdin=b"[caption]\n").code == 0
    assert {request.options for request in engine.requests} == {GenerationOptions()}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "-1", "greater than or equal to"),
        ("--temperature", "nan", "'--temperature'"),
        ("--top-p", "0", "--top-p is 0.0: it must be above 0"),
        ("--repetition-penalty", "0", "--repetition-penalty is 0.0: it must be above 0"),
        ("--max-tokens", "0", "greater than or equal to"),
        ("--beams", "17", "'--beams'"),
        ("--dtype", "int8", "--dtype takes one of float32"),
        ("--device", "gpu", "--device is 'gpu': it must be cpu, cuda"),
        ("--quantize", "2bit", "--quantize is '2bit': it must be 8bit or 4bit"),
    ],
)
def test_a_value_out_of_range_is_a_usage_error(
    command: Command, photo: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    result = command("ask", photo, "[caption]", "--model", tmp_path / "model", option, value)
    assert result.code == 2
    assert message in result.complaint


def test_a_gpu_that_is_not_there_is_one_line(command: Command, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    result = command("ask", photo, "[caption]", "--model", tmp_path, "--device", "mps")
    assert (result.code, result.err) == (
        1,
        "Error: --device mps: there is no GPU of Apple's here that PyTorch can use\n",
    )


def test_the_model_is_loaded_as_the_options_say(
    command: Command, photo: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def load(name: str, base: Path | None, **more: Any) -> VisionLanguageModel:
        asked.update(more, name=name, base=base)
        return VisionLanguageModel(engine)

    monkeypatch.setattr(model_options, "load_model", load)
    chosen = ("--device", "cuda:1", "--quantize", "4bit", "--dtype", "float16", "--base", "b")
    assert command("ask", photo, "[caption]", *chosen).code == 0
    assert asked == {
        "name": "nano",
        "base": Path("b"),
        "dtype": "float16",
        "device": "cuda:1",
        "quantize": "4bit",
        "options": GenerationOptions(),
        "adapters": {},
    }


def test_the_first_adapter_answers_until_the_chat_switches(
    command: Command, photo: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Any] = []

    def load(*_: object, **more: Any) -> VisionLanguageModel:
        loaded.append(more["adapters"])
        return VisionLanguageModel(engine)

    monkeypatch.setattr(model_options, "load_model", load)
    given = ("--adapter", "mine=runs/a=b", "--adapter", "other=c")
    assert command("ask", photo, "[caption]", *given).code == 0
    lines = b"[caption]\n/adapter other\n[caption]\n/adapter nobodys\n[caption]\n/adapter\n[caption]\n"
    result = command("chat", photo, *given, stdin=lines)
    assert loaded == [{"mine": Path("runs/a=b"), "other": Path("c")}] * 2
    assert [it.adapter for it in engine.requests] == ["mine", "mine", "other", "other", ""]
    assert "Error: /adapter takes one of mine, other, not 'nobodys'\n" in result.err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["mine"], "--adapter takes NAME=FOLDER, not 'mine'"),
        (["=runs"], "--adapter takes NAME=FOLDER, not '='"),
        (["mine="], "--adapter takes NAME=FOLDER, not 'mine='"),
        (["mine=a", "mine=b"], "--adapter has two named 'mine'"),
    ],
)
def test_an_adapter_has_a_name_of_its_own(
    command: Command, photo: Path, given: list[str], message: str
) -> None:
    result = command("ask", photo, "[caption]", *(word for it in given for word in ("--adapter", it)))
    assert result.code == 2
    assert message in result.complaint


def test_a_servers_weights_are_its_own(command: Command, photo: Path) -> None:
    url = "http://127.0.0.1:9/v1#m"
    result = command("ask", photo, "[caption]", "--model", url, "--quantize", "4bit", "--dtype", "float16")
    assert result.code == 1
    assert result.err.endswith("which has its own weights: leave --dtype and --quantize out\n")
