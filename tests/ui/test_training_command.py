"""`assistant train` end to end: train a tiny model on a user's own photos, then ask about them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant.vlm.vision_language_model import VisionLanguageModel

from ..vlm.tiny import dog_records, picture, tiny_model, tiny_processor, write_photo_folder
from .conftest import Command, Result

PHOTOS = 20
PLACES = ("left", "right", "snow", "running")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a complete model."""
    tiny_model().save_pretrained(tmp_path / "model")
    tiny_processor().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Twenty photos, each with a question and its answer."""
    (tmp_path / "photos").mkdir()
    rows = []
    for number in range(PHOTOS):
        picture(number).save(tmp_path / "photos" / f"{number}.png")
        row = {"image": f"photos/{number}.png", "task": "vqa", "ask": "where is the dog?"}
        rows.append(row | {"answer": PLACES[number % len(PLACES)]})
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path / "own.jsonl"


def one_line(result: Result) -> str:
    assert result.code == 1
    assert result.err.startswith("Error: ")
    assert result.err.count("\n") == 1
    return result.err


class TestOwnPhotos:
    def test_ctrl_c_keeps_the_steps_that_are_done(self, own: Path, model: Path, tmp_path: Path) -> None:
        out = tmp_path / "run"
        (tmp_path / "mine.toml").write_text("log_every = 1\nbatch = 2\n")
        code = "from assistant.ui.cli import main; main()"
        command: list[object] = [sys.executable, "-c", code, "train", "--data", own, "--out", out]
        command += ["--model", model, "--config", tmp_path / "mine.toml", "--steps", 100_000]
        with subprocess.Popen(list(map(str, command)), stdout=-1, stderr=-1, text=True) as running:
            deadline = time.monotonic() + 120
            while not (out / "log.jsonl").exists():
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            output, complaints = running.communicate(timeout=120)
        assert (running.returncode, output) == (130, ""), complaints
        assert "Traceback" not in complaints
        assert "resume" in complaints.splitlines()[-1]
        assert not [path for path in out.rglob("*") if path.suffix in {".part", ".tmp"}]

    def test_training_memorizes_twenty_photos(
        self, command: Command, own: Path, model: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        settings = tmp_path / "mine.toml"
        settings.write_text("log_every = 25\nbatch = 20\n[adapter]\nrank = 16\nalpha = 32\n")
        arguments = ("--data", own, "--out", out, "--model", model, "--config", settings, "--steps", 150)
        rates = ("--learning-rate", 0.01, "--projection-learning-rate", 0.02, "--warmup-steps", 5)
        result = command("train", *arguments, *rates)
        assert (result.code, result.out) == (0, f"{out / 'adapter'}\n"), result.err
        losses = [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]
        assert losses[-1] < 0.3 < 1 < losses[0]  # so small a head does not reach 0
        asked = VisionLanguageModel.load(str(out / "adapter"))
        answers = [asked.vqa(picture(number), "where is the dog?").text for number in range(PHOTOS)]
        right = sum(answer == PLACES[number % len(PLACES)] for number, answer in enumerate(answers))
        assert right == PHOTOS, answers
        again = command("train", *arguments, *rates)
        assert "resuming from step 150 of 150" in again.err

    def test_a_broken_line_is_named_or_left_out(
        self, command: Command, own: Path, model: Path, tmp_path: Path
    ) -> None:
        lines = own.read_text().splitlines()
        own.write_text("\n".join([*lines[:3], '{"image": "photos/none.png"}', *lines[3:]]) + "\n")
        arguments = ("--data", own, "--out", tmp_path / "run", "--model", model, "--steps", 1)
        assert f"{own}:4" in one_line(command("train", *arguments))
        result = command("train", *arguments, "--skip-broken")
        assert result.code == 0, result.err


class TestSettings:
    def test_an_unknown_key_of_a_file_is_named(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("stepps = 3\n")
        complaint = one_line(
            command("train", "--config", file, "--data", "photos", "--out", tmp_path / "run")
        )
        assert f"{file}: unknown key stepps" in complaint
        assert not (tmp_path / "run").exists()

    def test_an_unknown_stage_is_reported_with_the_known_ones(self, command: Command) -> None:
        assert "choose one of 7b-1, 7b-2" in one_line(command("train", "--stage", "nano"))

    def test_a_stage_of_a_model_that_cannot_be_fetched_asks_for_its_folder(
        self, command: Command, tmp_path: Path
    ) -> None:
        complaint = one_line(
            command("train", "--stage", "7b-1", "--data", tmp_path, "--out", tmp_path / "run")
        )
        assert "no model '7b' to train" in complaint
        assert "--model" in complaint

    def test_options_win_over_the_stage(self, command: Command, model: Path, tmp_path: Path) -> None:
        photos = write_photo_folder(tmp_path / "photos", dog_records(2))
        arguments = ("--data", photos, "--out", tmp_path / "run", "--model", model)
        result = command("train", "--stage", "nano-3", *arguments, "--steps", 1, "--batch", 2, "--seed", 7)
        assert result.code == 0, result.err
        settings = json.loads((tmp_path / "run" / "training.json").read_text())
        assert (settings["steps"], settings["batch"], settings["seed"]) == (1, 2, 7)
        assert (settings["warmup_steps"], settings["mixture"]["dialogue"]) == (50, 0.5)
