"""Six steps on a converted folder are those of the reference's formulas, which are written out here."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import LlamaForCausalLM

from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.lengths import LengthBuckets
from assistant.vlm.data.mixture import Example
from assistant.vlm.engine.local import load_model
from assistant.vlm.released.conversion import convert_released
from assistant.vlm.released.eva import State
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.preflight import open_data
from assistant.vlm.training.run import train
from assistant.vlm.training.schedule import Schedule

from ..vlm.released_files import EVA_VIT, HEADS, LAYERS, RANK, checkpoint_state, write_checkpoint, write_llama
from ..vlm.tiny import picture

STEPS, BATCH, PEAK, WARMUP = 6, 2, 1e-3, 2
FIRST, LAST = 1e-6, 8e-4
SCALE = 8 / RANK  # the checkpoint's alpha is 8
ROWS = [
    {"image": "0.png", "task": "caption", "answer": "a dog is running"},
    {"image": "1.png", "task": "refer", "ask": "the dog", "answer": [[4, 6, 30, 28]]},
    {"image": "2.png", "task": "vqa", "ask": "what is it?", "answer": "a dog"},
    {
        "image": "3.png",
        "conversation": [{"ask": "hello", "answer": "hi"}, {"ask": "what is it?", "answer": "snow"}],
    },
    {"ask": "say two", "answer": "two"},
]


def released_state() -> State:
    """LoRA of a size that training leaves, so that rounding does not grow."""
    return {name: it * 0.1 if "lora" in name else it for name, it in checkpoint_state().items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("released")
    llama, out = write_llama(place / "llama"), place / "minigpt-v2"
    convert_released(llama, EVA_VIT, write_checkpoint(place / "c.pth", released_state()), out, heads=HEADS)
    for number in range(4):
        picture(number).save(place / f"{number}.png")
    (place / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return out


@dataclass
class Reference:
    """LLaMA in float32 with LoRA on queries and values, and the linear layer; everything else is frozen."""

    llama: LlamaForCausalLM
    trained: dict[str, nn.Parameter]
    processor: MiniGPTv2Processor
    patches: Any

    @classmethod
    def of(cls, folder: Path, processor: MiniGPTv2Processor) -> Reference:
        llama = LlamaForCausalLM.from_pretrained(folder.parent / "llama", dtype=torch.float32).eval()
        llama.requires_grad_(requires_grad=False)
        trained = {
            name.removeprefix("llama_model.base_model.model."): nn.Parameter(tensor.float())
            for name, tensor in released_state().items()
            if not name.endswith("inv_freq")
        }
        for index in range(LAYERS):
            for part in ("q_proj", "v_proj"):
                name = f"model.layers.{index}.self_attn.{part}"
                a, b = (trained[f"{name}.lora_{side}.weight"] for side in "AB")
                llama.get_submodule(name).register_forward_hook(
                    lambda _, given, out, a=a, b=b: out + given[0] @ a.T @ b.T * SCALE
                )
        return cls(llama, trained, processor, load_model(folder, torch.float32).get_patches)

    def loss(self, examples: Sequence[Example]) -> torch.Tensor:
        """Right-padded rows of BOS, prompt and answer; the mean over all labelled tokens of the batch."""
        rows = [self._row(example) for example in examples]
        longest = max(len(labels) for _, labels in rows)
        embeddings = torch.zeros(len(rows), longest, self.llama.config.hidden_size)
        mask, labels = torch.zeros(len(rows), longest), torch.full((len(rows), longest), -100)
        for index, (row, wanted) in enumerate(rows):
            embeddings[index, : len(row)] = row
            mask[index, : len(row)] = 1
            labels[index, : len(row)] = torch.tensor(wanted)
        logits = self.llama(inputs_embeds=embeddings, attention_mask=mask).logits
        return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())

    def _row(self, example: Example) -> tuple[torch.Tensor, list[int]]:
        (sample,) = example.samples
        turns = [exchange.turn for exchange in sample.exchanges]
        shown = example.image is not None
        opening = f"<Img><ImageHere></Img> {turns[0].user} " if shown else turns[0].user
        later = [f"<s>[INST] {turn.user}{' ' if shown else ''} [/INST]" for turn in turns[1:]]
        parts: list[torch.Tensor] = [self._embed([self.processor.tokenizer.bos_token_id])]
        labels = [-100]
        segments = f"[INST] {opening} [/INST]".split("<ImageHere>")
        for place, segment in enumerate(segments):
            if place:
                pixels = self.processor.pixels([example.image])
                tokens = self.patches(pixels)[0] @ self.trained["llama_proj.weight"].T
                parts.append(tokens + self.trained["llama_proj.bias"])
                labels += [-100] * len(parts[-1])
            ids = self._ids(segment)
            parts.append(self._embed(ids))
            labels += [-100] * len(ids)
        for turn, question in zip(turns, [*later, ""], strict=True):
            answer, asked = self._ids(f"{turn.answer}</s>"), self._ids(question) if question else []
            parts.append(self._embed(answer + asked))
            labels += answer + [-100] * len(asked)
        return torch.cat(parts), labels

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _embed(self, ids: list[int]) -> torch.Tensor:
        embedded: torch.Tensor = self.llama.get_input_embeddings()(torch.tensor(ids, dtype=torch.long))
        return embedded

    def optimizer(self) -> torch.optim.Optimizer:
        decayed = [it for it in self.trained.values() if it.ndim >= 2]
        kept = [it for it in self.trained.values() if it.ndim < 2]
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": kept, "weight_decay": 0.0}],
            lr=PEAK,
            betas=(0.9, 0.999),
        )


def rate(step: int) -> float:
    if step < WARMUP:
        return min(PEAK, FIRST + (PEAK - FIRST) * step / WARMUP)
    return (PEAK - LAST) * 0.5 * (1 + math.cos(math.pi * step / STEPS)) + LAST


def test_six_steps_have_the_losses_and_end_at_the_weights_of_the_reference(
    folder: Path, tmp_path: Path
) -> None:
    config = TrainingConfig(
        data=folder.parent / "own.jsonl",
        out=tmp_path / "run",
        init=folder / "adapter",
        steps=STEPS,
        batch=BATCH,
        learning_rate=PEAK,
        projection_learning_rate=PEAK,
        warmup_steps=WARMUP,
        schedule=Schedule(FIRST, LAST),
        max_gradient_norm=0.0,
        bf16=False,
        log_every=1,
    )
    processor = MiniGPTv2Processor.load(folder)
    reference = Reference.of(folder, processor)
    data = open_data(config, processor.prompt_form)
    losses = []
    optimizer = reference.optimizer()
    order = list(LengthBuckets(data, BATCH, config.seed))
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = reference.loss([data[index] for index in order[BATCH * step : BATCH * (step + 1)]])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    adapter = train(load_model(folder, torch.float32), processor, config, str(folder), lambda _: None)

    lines = [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines if "loss" in line] == pytest.approx(losses, abs=1e-5)
    assert max(losses) - min(losses) > 0.1  # the steps differ
    state = load_file(adapter / "adapter_model.safetensors")
    for name, wanted in reference.trained.items():
        ours = name.replace("llama_proj", "vision_projection")
        ours = ours if ours.startswith("vision") else f"language_model.{ours}"
        found = state[f"base_model.model.{ours}"]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted.data, atol=5e-5, rtol=0, msg=name)
