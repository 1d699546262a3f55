"""Training tiny models: which weights change, adapters, interrupted runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, load_adapter, save_adapter
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator
from assistant.vlm.data.instructions import Sample
from assistant.vlm.data.mixture import Example
from assistant.vlm.errors import AssistantError, DataError, WeightsError
from assistant.vlm.tasks import Task, Turn, instruction
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.run import train

from .runs import short_run
from .tiny import TOWERS, picture, tiny_model, tiny_processor

State = dict[str, torch.Tensor]
ADAPTER = AdapterConfig(rank=2, alpha=4)


@pytest.fixture(scope="module")
def processor() -> MiniGPTv2Processor:
    return tiny_processor()


@pytest.fixture(scope="module")
def batch(processor: MiniGPTv2Processor) -> State:
    samples = [
        Sample(Task.CAPTION, Turn(instruction(Task.CAPTION), "a dog is running")),
        Sample(Task.REFER, Turn(instruction(Task.REFER, "the dog"), "{<1><20><31><80>}")),
    ]
    return SharedImageCollator(processor)([Example(picture(0), samples), Example(picture(1), samples[1:])])


def fit(model: PeftModel, batch: State, steps: int, rate: float) -> list[float]:
    """Train on one batch; return the loss before each step."""
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=rate)
    losses = []
    for _ in range(steps):
        loss = model(**batch, answers_only=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def logits(model: torch.nn.Module, batch: State) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model(**batch).logits
    return output


class TestWhatMoves:
    @pytest.mark.parametrize("tower", TOWERS)
    def test_only_lora_and_the_linear_layer_move(self, tower: str, batch: State) -> None:
        model = add_adapter(tiny_model(tower), ADAPTER)
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        fit(model.train(), batch, steps=2, rate=1e-2)
        moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
        trained = {
            name for name in before if "language_model" in name and ("lora_A" in name or "lora_B" in name)
        } | {name for name in before if "vision_projection.modules_to_save" in name}
        assert moved == trained
        assert any("lora_A" in name for name in moved)
        assert not any("vision_tower" in name for name in trained)
        assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())

    def test_the_paper_adapts_queries_and_values_alone(self) -> None:
        model = add_adapter(tiny_model(), replace(ADAPTER, all_linear=False))
        adapted = {
            name.split(".lora_")[0].rsplit(".")[-1] for name, _ in model.named_parameters() if "lora_" in name
        }
        assert adapted == {"q_proj", "v_proj"}

    def test_the_tower_is_adapted_on_request(self) -> None:
        model = add_adapter(tiny_model(), replace(ADAPTER, tower=True))
        names = {name for name, _ in model.named_parameters() if "lora_" in name and "vision_tower" in name}
        assert {name.split(".lora_")[0].rsplit(".")[-1] for name in names} == {
            "q_proj",
            "v_proj",
            "fc1",
            "fc2",
        }
        others = {name for name, _ in model.named_parameters() if "lora_" in name} - names
        assert others == {
            name for name, _ in add_adapter(tiny_model(), ADAPTER).named_parameters() if "lora_" in name
        }

    def test_an_adapted_tower_learns_and_is_loaded_again(self, batch: State, tmp_path: Path) -> None:
        shape = replace(ADAPTER, tower=True)
        model = add_adapter(tiny_model(), shape).train()
        before = logits(model, batch)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and "vision_tower" in name)
        losses = fit(model, batch, steps=20, rate=2e-2)
        assert losses[-1] < losses[0]
        save_adapter(model, tmp_path / "adapter", "base")
        again = load_adapter(tiny_model(), tmp_path / "adapter", shape=shape)
        assert not torch.allclose(logits(again.eval(), batch), before, atol=1e-3)
        torch.testing.assert_close(logits(again, batch), logits(model.eval(), batch), atol=0.05, rtol=0.05)

    def test_a_fresh_adapter_changes_nothing(self, batch: State) -> None:
        plain = logits(tiny_model(), batch)
        torch.testing.assert_close(logits(add_adapter(tiny_model(), ADAPTER).eval(), batch), plain)

    def test_one_tiny_batch_is_memorised(self, batch: State) -> None:
        model = add_adapter(tiny_model(), AdapterConfig(rank=8, alpha=16)).train()
        losses = fit(model, batch, steps=60, rate=2e-2)
        assert losses[0] > 3
        assert losses[-1] < 0.3


class TestAdapterFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path, batch: State) -> Path:
        model = add_adapter(tiny_model(), ADAPTER)
        fit(model, batch, steps=2, rate=1e-2)
        save_adapter(model, tmp_path / "adapter", "tiny")
        return tmp_path / "adapter"

    def test_a_saved_adapter_answers_as_it_was_trained(self, folder: Path, batch: State) -> None:
        loaded = logits(load_adapter(tiny_model(), folder).eval(), batch)
        assert (loaded - logits(tiny_model(), batch)).abs().max() > 0.1
        model = add_adapter(tiny_model(), ADAPTER)
        fit(model, batch, steps=2, rate=1e-2)
        trained = model.eval()
        # Saved in bfloat16: eight bits of precision.
        torch.testing.assert_close(loaded, logits(trained, batch), rtol=0.05, atol=0.1)

    def test_it_holds_what_was_trained_and_nothing_else(self, folder: Path) -> None:
        state = load_file(folder / "adapter_model.safetensors")
        assert all("lora_" in name or "vision_projection" in name for name in state)
        assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}

    def test_a_loaded_adapter_trains_only_if_asked(self, folder: Path) -> None:
        frozen, trainable = (load_adapter(tiny_model(), folder, trainable=wish) for wish in (False, True))
        assert not any(weight.requires_grad for weight in frozen.parameters())
        assert any(weight.requires_grad for weight in trainable.parameters())

    def test_training_it_further_may_change_dropout_but_not_shape(self, folder: Path) -> None:
        model = load_adapter(tiny_model(), folder, trainable=True, shape=replace(ADAPTER, dropout=0.5))
        assert model.peft_config["default"].lora_dropout == 0.5
        for other in (
            replace(ADAPTER, rank=3),
            replace(ADAPTER, all_linear=False),
            replace(ADAPTER, tower=True),
        ):
            with pytest.raises(WeightsError, match=r"has LoRA of rank 2 .* leave their \[adapter\] out"):
                load_adapter(tiny_model(), folder, trainable=True, shape=other)

    def test_an_empty_folder_is_no_adapter(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="no adapter in"):
            load_adapter(tiny_model(), tmp_path)

    @pytest.mark.parametrize("change", ["missing", "unexpected"])
    def test_missing_or_unexpected_weights_are_refused(self, folder: Path, change: str) -> None:
        path = folder / "adapter_model.safetensors"
        state = load_file(path)
        if change == "missing":
            state.pop(next(name for name in state if "lora_A" in name))
        else:
            state["base_model.model.stray.weight"] = torch.zeros(1)
        save_file(state, path)
        with pytest.raises(WeightsError, match=f"1 .*{change}"):
            load_adapter(tiny_model(), folder)


class TestRuns:
    @pytest.fixture
    def config(self, tmp_path: Path) -> TrainingConfig:
        return short_run(tmp_path)

    @staticmethod
    def run(config: TrainingConfig, drawn_before: int = 0) -> State:
        model, processor = tiny_model(), tiny_processor()
        torch.rand(drawn_before)  # random numbers used earlier in the process
        folder = train(model, processor, config)
        assert folder == config.out / "adapter"
        return load_file(folder / "adapter_model.safetensors")

    @pytest.mark.parametrize("step", [{}, {"whiten": True}, {"self_critical": 3}], ids=str)
    def test_a_resumed_run_equals_one_that_was_not_interrupted(
        self, config: TrainingConfig, step: dict[str, Any]
    ) -> None:
        config = replace(config, **step)
        whole = self.run(config)
        halfway = load_file(config.out / "checkpoint-2" / "adapter_model.safetensors")
        lora = [name for name in whole if "lora" in name]
        assert any(not torch.equal(whole[name], halfway[name].bfloat16()) for name in lora)
        shutil.rmtree(config.out / "checkpoint-4")
        shutil.rmtree(config.out / "adapter")
        resumed = self.run(config, drawn_before=17)
        assert resumed.keys() == whole.keys()
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)

    def test_the_seed_determines_the_run(self, config: TrainingConfig, tmp_path: Path) -> None:
        short = replace(config, steps=1, warmup_steps=0)
        first = self.run(replace(short, out=tmp_path / "first"))
        second = self.run(replace(short, out=tmp_path / "second"), drawn_before=17)
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_a_changed_setting_is_refused_in_one_line(self, config: TrainingConfig) -> None:
        self.run(replace(config, steps=1))
        with pytest.raises(AssistantError, match="other settings") as caught:
            self.run(replace(config, steps=1, learning_rate=1e-3))
        assert "\n" not in str(caught.value)
        assert str(config.out) in str(caught.value)

    def test_a_setting_that_came_after_the_run_began_was_at_its_default(self, config: TrainingConfig) -> None:
        self.run(replace(config, steps=1))
        path = config.out / "training.json"
        settings = json.loads(path.read_text())
        del settings["self_critical"]
        path.write_text(json.dumps(settings))
        with pytest.raises(AssistantError, match="self_critical 0 there, 3 here"):
            self.run(replace(config, steps=1, self_critical=3))
        self.run(replace(config, steps=1))

    def test_skip_broken_may_be_set_when_resuming(self, config: TrainingConfig) -> None:
        self.run(replace(config, steps=1))
        self.run(replace(config, steps=1, skip_broken=True))

    def test_a_checkpoint_with_another_name_is_kept(self, config: TrainingConfig) -> None:
        (config.out / "checkpoint-best").mkdir(parents=True)
        self.run(replace(config, steps=1))
        assert (config.out / "checkpoint-best").is_dir()

    def test_missing_data_is_reported_before_training(self, config: TrainingConfig) -> None:
        with pytest.raises(DataError, match="no photo in the split"):
            self.run(replace(config, split="validation"))

    def test_a_linear_layer_in_a_whitened_basis_is_saved_as_a_plain_one(
        self, config: TrainingConfig, tmp_path: Path
    ) -> None:
        still = replace(config, steps=1, learning_rate=0.0, projection_learning_rate=0.0)
        plain = self.run(replace(still, out=tmp_path / "plain"))
        whitened = self.run(replace(still, whiten=True))
        assert plain.keys() == whitened.keys()
        for name in plain:
            torch.testing.assert_close(plain[name], whitened[name], rtol=0.01, atol=0.001)

    def test_a_run_can_start_from_an_adapter(self, config: TrainingConfig, tmp_path: Path) -> None:
        start = self.run(replace(config, steps=1))
        onwards = replace(config, steps=1, warmup_steps=0, out=tmp_path / "on", init=config.out / "adapter")
        end = self.run(onwards)
        assert start.keys() == end.keys()
        assert any(not torch.equal(start[name], end[name]) for name in start)
