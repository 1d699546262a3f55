"""The output of runs, and how stopped, killed and failed runs resume."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from safetensors.torch import load_file
from transformers import TrainerCallback

from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.errors import AssistantError, WeightsError
from assistant.vlm.grounding import parse
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.training import run as run_module
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.progress import TASK_NAMES, Meter
from assistant.vlm.training.run import train, train_named
from assistant.vlm.training.sheets import ANSWERED, SIDE, WANTED, AnsweredExample, sheet
from assistant.vlm.training.stopping import StopOnSignal, TrainingStoppedError
from assistant.vlm.training.trainer import AnswerTrainer

from .runs import short_run
from .tiny import picture, tiny_model, tiny_processor

State = dict[str, torch.Tensor]


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return short_run(tmp_path, steps=6, log_every=2)


def run(config: TrainingConfig) -> tuple[State, list[str]]:
    """Train the tiny model; return the adapter's weights and the printed lines."""
    printed: list[str] = []
    folder = train(tiny_model(), tiny_processor(), config, log_line=printed.append)
    return load_file(folder / "adapter_model.safetensors"), printed


def same(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log(config: TrainingConfig) -> list[dict[str, float]]:
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C during a step."""
    compute = AnswerTrainer.compute_loss

    def compute_loss(self: AnswerTrainer, *inputs: object, **options: object) -> object:
        if self.state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return compute(self, *inputs, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(AnswerTrainer, "compute_loss", compute_loss)


class TestWhatMoves:
    def test_a_whole_run_keeps_the_frozen_weights_exactly(self, config: TrainingConfig) -> None:
        before, model = tiny_model().state_dict(), tiny_model()
        train(model, tiny_processor(), config, log_line=lambda _: None)
        after = {name.replace(".base_layer", ""): weight for name, weight in model.state_dict().items()}
        frozen = {name for name in before if not name.startswith("vision_projection")}
        assert all(torch.equal(after[name], before[name]) for name in frozen)
        trained = after["vision_projection.modules_to_save.default.weight"]
        assert not torch.equal(trained, before["vision_projection.weight"])


class TestLog:
    def test_each_line_has_the_loss_by_task_and_the_rates(self, config: TrainingConfig) -> None:
        _, printed = run(config)
        lines = log(config)
        assert [line["step"] for line in lines] == [2, 4, 6]
        for line in lines:
            by_task = [line[f"loss_{name}"] for name in TASK_NAMES if f"loss_{name}" in line]
            assert min(by_task) < line["loss"] < max(by_task)
            assert line["tokens_per_second"] > line["samples_per_second"] > 0
        assert printed[0].startswith(f"step 2/6: loss {lines[0]['loss']:.3f} (caption ")
        assert printed[0].endswith(" left")
        assert len(printed) == 3

    def test_the_losses_by_task_are_shares_of_the_whole(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sums = []
        take = Meter.take

        def noted(self: Meter) -> dict[str, float]:
            sums.append(self._sums.clone())
            return take(self)

        monkeypatch.setattr(Meter, "take", noted)
        run(replace(config, steps=1, log_every=1, bf16=False))
        by_task = sums[0][:-2].reshape(-1, 2)
        assert by_task[:, 0].sum() / by_task[:, 1].sum() == pytest.approx(log(config)[0]["loss"], rel=1e-4)

    def test_curves_are_written_if_tensorboard_is_installed(self, config: TrainingConfig) -> None:
        events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        run(config)
        board = events.EventAccumulator(str(config.out / "tensorboard"))
        board.Reload()
        assert [point.step for point in board.Scalars("loss_caption")] == [2, 4, 6]

    def test_curves_of_a_resumed_run_have_each_step_once(self, config: TrainingConfig) -> None:
        events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        run(config)
        for step in (4, 6):
            shutil.rmtree(config.out / f"checkpoint-{step}")
        run(config)
        board = events.EventAccumulator(str(config.out / "tensorboard"))
        board.Reload()
        assert [point.step for point in board.Scalars("loss_caption")] == [2, 4, 6]

    def test_without_tensorboard_there_is_the_log(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assistant.vlm.training.progress.is_tensorboard_available", lambda: False)
        run(replace(config, steps=2))
        assert len(log(config)) == 1
        assert not (config.out / "tensorboard").exists()


class TestSheets:
    def test_a_sheet_shows_the_answers_and_does_not_affect_training(self, config: TrainingConfig) -> None:
        without, _ = run(replace(config, out=config.out / "without"))
        with_sheets, _ = run(replace(config, sample_every=3))
        written = sorted((config.out / "sheets").iterdir())
        assert [path.name for path in written] == ["step-000003.png", "step-000006.png"]
        assert Image.open(written[0]).width == 3 * SIDE
        assert same(without, with_sheets)

    def test_boxes_are_drawn_at_their_place(self) -> None:
        page = sheet(
            [AnsweredExample(picture(0), "where?", parse("{<25><25><50><50>}"), parse("{<60><60><80><80>}"))]
        )
        assert page.getpixel((SIDE // 4, SIDE // 3)) == tuple(bytes.fromhex(ANSWERED[1:]))
        assert page.getpixel((int(SIDE * 0.6), int(SIDE * 0.7))) == tuple(bytes.fromhex(WANTED[1:]))

    def test_a_question_without_an_image_is_drawn_too(self) -> None:
        assert sheet([AnsweredExample(None, "who are you?", parse("me"), parse("me"))]).width == SIDE


class TestStopping:
    def test_ctrl_c_saves_and_the_same_command_resumes_exactly(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, _ = run(replace(config, out=config.out / "whole"))
        handler = signal.getsignal(signal.SIGINT)
        with monkeypatch.context() as patch:
            interrupt_at(3, patch)
            with pytest.raises(TrainingStoppedError) as caught:
                run(config)
        assert "stopped after step 3 of 6" in str(caught.value)
        assert "the same command resumes" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert signal.getsignal(signal.SIGINT) is handler
        resumed, printed = run(config)
        assert printed[0].startswith("resuming from step 3 of 6")
        assert same(resumed, whole)
        assert [line["step"] for line in log(config)] == [2, 4, 6]

    def test_a_resumed_run_keeps_its_basis(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = replace(config, whiten=True)
        whole, _ = run(replace(config, out=config.out / "whole"))
        with monkeypatch.context() as patch:
            interrupt_at(3, patch)
            with pytest.raises(TrainingStoppedError):
                run(config)
        other = [picture(seed) for seed in range(50, 60)]  # as if the data had changed
        monkeypatch.setattr(run_module, "sample_images", lambda _: iter(other))
        resumed, _ = run(config)
        assert same(resumed, whole)

    def test_a_second_ctrl_c_stops_at_once(self) -> None:
        printed: list[str] = []
        with StopOnSignal(printed.append):
            signal.raise_signal(signal.SIGINT)  # to this thread: another one would handle it later
            assert len(printed) == 1
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_loader_process_does_not_log_and_ends_on_sigterm(self) -> None:
        printed: list[str] = []
        with StopOnSignal(printed.append):
            child = os.fork()
            if child == 0:  # pragma: no cover
                os.kill(os.getpid(), signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                os._exit(7 if printed else 0)
            _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert printed == []


KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from assistant.tests.vlm.test_training_runs import run, restored
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.training import trainer

save = trainer.AnswerTrainer._save_optimizer_and_scheduler

def save_half(self, folder):
    if self.state.global_step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, folder)

trainer.AnswerTrainer._save_optimizer_and_scheduler = save_half
run(restored(sys.argv[1]))
"""


def restored(settings: str) -> TrainingConfig:
    """Return a configuration from its JSON."""
    return TypeAdapter(TrainingConfig).validate_json(settings)


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """Limit the size of files in bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestAccidents:
    def test_a_run_killed_while_saving_resumes_from_the_previous_checkpoint(
        self, config: TrainingConfig
    ) -> None:
        whole, _ = run(replace(config, out=config.out / "whole"))
        settings = TypeAdapter(TrainingConfig).dump_json(config)
        killed = subprocess.run([sys.executable, "-c", KILLED, settings], check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert (config.out / "checkpoint-4").is_dir()
        resumed, printed = run(config)
        assert printed[:2] == [
            "removed checkpoint-4: it is incomplete",
            f"resuming from step 2 of 6 ({config.out / 'checkpoint-2'})",
        ]
        assert same(resumed, whole)

    def test_a_full_disk_is_one_line_and_loses_only_the_steps_since_the_last_checkpoint(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, _ = run(replace(config, out=config.out / "whole"))

        class FullFromStepThree(TrainerCallback):
            def on_step_end(self, _args: object, state: object, _control: object, **_: object) -> None:
                if state.global_step == 3:  # type: ignore[attr-defined]
                    room.__enter__()

        room = little_room(4096)
        added = AnswerTrainer.remove_callback
        with monkeypatch.context() as patch:
            patch.setattr(
                AnswerTrainer,
                "remove_callback",
                lambda self, kind: (added(self, kind), self.add_callback(FullFromStepThree())),
            )
            try:
                with pytest.raises(AssistantError) as caught:
                    run(config)
            finally:
                room.__exit__(None, None, None)
        message = str(caught.value)
        assert "cannot write the checkpoint of step 4" in message
        assert "the same command resumes from step 2" in message
        assert "\n" not in message
        resumed, _ = run(config)
        assert same(resumed, whole)

    def test_a_full_disk_keeps_the_previous_adapter(self, config: TrainingConfig) -> None:
        short = replace(config, steps=2)
        before, _ = run(short)
        with little_room(4096), pytest.raises(AssistantError, match="cannot write the"):
            run(short)
        assert same(load_file(config.out / "adapter" / "adapter_model.safetensors"), before)

    def test_settings_without_effect_may_change_when_resuming(self, config: TrainingConfig) -> None:
        whole, _ = run(config)
        for step in (4, 6):
            shutil.rmtree(config.out / f"checkpoint-{step}")
        resumed, _ = run(replace(config, save_every=3, log_every=1))
        assert same(resumed, whole)

    def test_other_settings_are_named_with_both_values(self, config: TrainingConfig) -> None:
        run(replace(config, steps=2))
        with pytest.raises(AssistantError, match=r"learning_rate 0\.01 there, 0\.001 here"):
            run(replace(config, steps=2, learning_rate=1e-3))

    def test_broken_rows_are_skipped_and_logged_if_asked_to(
        self, config: TrainingConfig, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole, _ = run(replace(config, steps=2, out=config.out / "whole"))
        annotations = config.data / "annotations.jsonl"
        first, *others = annotations.read_text().splitlines()
        broken = ["{", '{"image": 1}', first.replace('"captions"', '"captoins"').replace("dog-0", "dog-9")]
        annotations.write_text("\n".join([first, *broken, *others]) + "\n")
        with pytest.raises(AssistantError, match=r"annotations\.jsonl:2: not JSON"):
            run(replace(config, steps=2))
        skipped, _ = run(replace(config, steps=2, skip_broken=True))
        assert all(f"annotations.jsonl:{line}: " in caplog.text for line in (2, 3, 4))
        assert "annotations.jsonl:5" not in caplog.text
        assert same(skipped, whole)


class TestRefusals:
    def test_a_missing_adapter_is_reported_before_fetching(
        self, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_module, "base_model", None)
        with pytest.raises(WeightsError, match=r"no adapter 'nani' to start from \(--init\): name nano or"):
            train_named(replace(config, init="nani"))

    def test_an_adapter_instead_of_a_model_is_reported_with_the_right_option(
        self, config: TrainingConfig
    ) -> None:
        folder = PRESETS["nano"].adapter
        with pytest.raises(WeightsError, match="nano is an adapter: start from it with --init"):
            train_named(replace(config, model=str(folder)))

    def test_an_unknown_model_is_reported_before_reading_data(self, config: TrainingConfig) -> None:
        with pytest.raises(WeightsError, match=r"no model '7b' to train: name nano or the folder"):
            train_named(replace(config, model="7b", data=Path("nowhere")))

    def test_a_batch_that_does_not_divide_is_refused(self, config: TrainingConfig) -> None:
        with pytest.raises(AssistantError, match="make --batch a multiple of 4"):
            run(replace(config, gradient_accumulation=4))

    def test_weights_are_sharded_only_over_several_processes(self, config: TrainingConfig) -> None:
        with pytest.raises(AssistantError, match="start the command with torchrun"):
            run(replace(config, fsdp=True))


class TestWays:
    """The same steps with other ways of computing them."""

    @pytest.fixture
    def exact(self, config: TrainingConfig) -> TrainingConfig:
        return replace(
            config, steps=2, batch=4, bf16=False, log_every=1, adapter=AdapterConfig(rank=2, alpha=4)
        )

    @pytest.mark.parametrize("way", [{"gradient_accumulation": 2}, {"gradient_checkpointing": True}], ids=str)
    def test_losses_and_weights_are_the_same(self, exact: TrainingConfig, way: Any) -> None:
        plain, _ = run(replace(exact, out=exact.out / "plain"))
        losses = [line["loss"] for line in log(replace(exact, out=exact.out / "plain"))]
        other, _ = run(replace(exact, **way))
        assert [line["loss"] for line in log(exact)] == pytest.approx(losses, rel=1e-5)
        assert all(torch.allclose(other[name], plain[name], rtol=0.02, atol=1e-4) for name in plain)

    def test_layers_are_compiled_only_where_there_is_a_compiler(
        self, exact: TrainingConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        _, printed = run(replace(exact, compile_layers=True))
        assert printed[0] == "no C++ compiler found: continuing without compiled layers"
