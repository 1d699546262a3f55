"""`assistant models list` and `show` for models' and adapters' folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assistant.vlm.engine import memory
from assistant.vlm.folders.tensor_files import sha256_of
from assistant.vlm.models.presets import NANO
from assistant.vlm.released.conversion import convert_released

from ..vlm.released_files import EVA_VIT, HEADS, checkpoint_state, write_checkpoint, write_llama
from .conftest import Command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a converted model, its files, and an adapter beside it."""
    place = tmp_path_factory.mktemp("models")
    checkpoint = write_checkpoint(place / "checkpoint.pth", checkpoint_state())
    convert_released(write_llama(place / "llama"), EVA_VIT, checkpoint, place / "minigpt-v2", heads=HEADS)
    shutil.copytree(place / "minigpt-v2" / "adapter", place / "runs" / "mine" / "adapter")
    return place


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose memory holds the model in float16, but not in float32."""
    monkeypatch.setattr(memory, "memory_of", lambda _: (200_000, 400_000))


@pytest.mark.usefixtures("small_machine")
def test_show_prints_a_models_contents_and_sources(command: Command, made: Path) -> None:
    held = json.loads(command("models", "show", made / "minigpt-v2", "--json").out)
    assert held["kind"] == "model"
    assert held["language_model"] == "llama, 2 layers, 64 wide"
    assert held["vision_tower"] == "blip_2_vision_model, 2 layers, 32 wide"
    assert (held["image_size"], held["prompt_form"]) == (56, "minigpt_v2")
    assert held["precisions"] == ["float16", "float32"]
    assert held["lora"] == {"rank": 4, "alpha": 8, "all_linear": False, "tower": False}
    assert held["sources"]["checkpoint.pth"] == sha256_of(made / "checkpoint.pth")
    sizes = held["memory_bytes"]
    assert sizes["float32"] == 4 * held["weights"] == 2 * sizes["float16"]
    assert sizes["float16"] > sizes["8bit"] > sizes["4bit"]
    assert held["fits"] == {name: size <= 360_000 for name, size in sizes.items()}


@pytest.mark.usefixtures("small_machine")
def test_show_prints_lines(command: Command, made: Path) -> None:
    output = command("models", "show", made / "minigpt-v2").out
    assert "a model of 0.1 million weights in float16 and float32, and LoRA of rank 4, alpha 8, on" in output
    assert "asked in the form of: minigpt_v2" in output
    assert "(too large)" in output
    assert f"made from: checkpoint.pth, sha256 {sha256_of(made / 'checkpoint.pth')}" in output


def test_the_adapter_that_ships_says_where_its_lora_is(command: Command) -> None:
    output = command("models", "show", NANO.adapter).out
    assert "on all linear layers of the language model and on the vision tower, 7.8 million weights" in output


def test_an_adapter_names_its_base_and_whether_it_is_here(command: Command, made: Path) -> None:
    own = json.loads(command("models", "show", made / "minigpt-v2" / "adapter", "--json").out)
    assert (own["kind"], own["base"]) == ("adapter", "minigpt-v2")
    assert own["base_folder"] == str(made / "minigpt-v2")
    moved = json.loads(command("models", "show", made / "runs" / "mine" / "adapter", "--json").out)
    assert moved["base_folder"] is None
    assert moved["base_fingerprint"] == own["base_fingerprint"]
    assert own["base_fingerprint"]
    assert (
        "not found: name its folder with --base" in command("models", "show", made / "runs/mine/adapter").out
    )


def test_folders_are_listed_each_model_and_adapter_once(command: Command, made: Path) -> None:
    result = command("models", "list", made, "--json")
    assert [(it["kind"], it["folder"]) for it in json.loads(result.out)] == [
        ("model", str(made / "minigpt-v2")),
        ("adapter", str(made / "runs" / "mine" / "adapter")),
    ]
    assert result.err == ""
    assert len(command("models", "list", made).out.splitlines()) == 2


def test_what_cannot_be_read_is_named_and_the_rest_listed(
    command: Command, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made / "runs", tmp_path / "runs")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "adapter_config.json").write_text("{")
    result = command("models", "list", tmp_path)
    assert len(result.out.splitlines()) == 1
    assert result.err.startswith("Error: ")
    assert "broken" in result.err


def test_nothing_there_is_one_line(command: Command, tmp_path: Path) -> None:
    result = command("models", "list", tmp_path)
    assert (result.code, result.err) == (1, f"Error: no model and no adapter in {tmp_path}\n")
    assert command("models", "show", tmp_path).err.startswith("Error: no model ")
