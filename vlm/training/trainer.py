"""One stage of training on transformers' Trainer: LoRA and the linear layer, all else frozen."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import Trainer, TrainingArguments, set_seed

from ..data.collator import SharedPictureCollator
from ..data.mixture import InstructionMixture, MixtureConfig
from ..data.photos import PhotoFolder
from ..engine.local import load_model
from ..errors import AssistantError
from ..modeling import MiniGPTv2ForConditionalGeneration
from ..presets import PRESETS
from ..processing import MiniGPTv2Processor
from ..weights import base_model
from .adapter import AdapterConfig, add_adapter, load_adapter, save_adapter


@dataclass(frozen=True)
class TrainingConfig:
    """A run: where the data lies, where checkpoints go, how long and how fast.

    `batch` counts pictures a step (each carries several samples); `init` is an adapter to start from.
    `learning_rate` is LoRA's peak; the linear layer starts from nothing and takes a higher one.
    `compile_layers` fuses what lies between the matrix products: a minute of preparation, then a quarter
    less time a step on a CPU (needs a C++ compiler).
    """

    data: Path
    out: Path
    split: str = "train"
    steps: int = 2600
    batch: int = 4
    learning_rate: float = 1e-3
    projection_learning_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
    seed: int = 0
    save_every: int = 200
    compile_layers: bool = False
    init: Path | None = None
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)


class AnswerTrainer(Trainer):
    """Computes logits where an answer is learnt and nowhere else: the head is a quarter of the work."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the mean loss over labelled tokens, over all accumulated batches where there are several."""
        outputs = model(
            **inputs, answers_only=True, use_cache=False, num_items_in_batch=num_items_in_batch
        )
        return (outputs.loss, outputs) if return_outputs else outputs.loss


def train(
    model: MiniGPTv2ForConditionalGeneration,
    processor: MiniGPTv2Processor,
    config: TrainingConfig,
    base_name: str = "",
) -> Path:
    """Train an adapter for the model; return the folder that it was written to.

    `base_name` is the preset that the adapter notes as its base, so that it is loaded on no other. A run
    that finds checkpoints in `config.out` goes on from the last one.

    Raises:
        DataError: the data is not in the promised form.
        AssistantError: `config.out` holds a run with other settings.
    """
    _refuse_other_settings(config)
    mixture = InstructionMixture(
        PhotoFolder(config.data, config.split), config.mixture, config.steps * config.batch, config.seed
    )
    set_seed(config.seed)  # before LoRA draws its first weights; the Trainer seeds too late for that
    adapted = (
        load_adapter(model, config.init, trainable=True)
        if config.init
        else add_adapter(model, config.adapter)
    )
    _settings_file(config).write_text(json.dumps(_settings(config), indent=1) + "\n", encoding="utf-8")
    if config.compile_layers:
        _compile_layers(adapted)
    trainer = AnswerTrainer(
        model=adapted,
        args=_arguments(config),
        train_dataset=mixture,
        data_collator=SharedPictureCollator(processor),
        optimizers=(_optimizer(adapted, config), None),
    )
    trainer.train(resume_from_checkpoint=_last_whole_checkpoint(config.out))
    save_adapter(adapted, config.out / "adapter", base_name)
    return config.out / "adapter"


def train_preset(name: str, config: TrainingConfig) -> Path:
    """Train an adapter for a model by name; return the folder that it was written to."""
    preset = PRESETS[name]
    base = base_model(preset)
    # On a CPU the backward pass of fused attention is slower than plain matrix products.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    model = load_model(base, attn_implementation=attention)
    return train(model, MiniGPTv2Processor.from_pretrained(base), config, base_name=name)


def _arguments(config: TrainingConfig) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(config.out),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch,
        warmup_steps=config.warmup_steps,
        lr_scheduler_type="cosine",
        seed=config.seed,
        bf16=True,
        use_cpu=not gpu,
        dataloader_num_workers=8 if gpu else 0,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        # The stream is random already, and its order is what a resumed run relies on.
        train_sampling_strategy="sequential",
        save_steps=config.save_every,
        save_total_limit=3,
        logging_steps=20,
        report_to=[],
    )


def _compile_layers(model: PeftModel) -> None:
    """Compile one layer of the language model, of which all the others are copies; lengths may vary."""
    for layer in model.get_base_model().language_model.get_decoder().layers:
        layer.compile(dynamic=True)


def _optimizer(model: PeftModel, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return AdamW with a rate for LoRA and one for the linear layer; biases do not decay."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            projection = "vision_projection" in name
            rate = config.projection_learning_rate if projection else config.learning_rate
            groups[rate, config.weight_decay if parameter.ndim >= 2 else 0.0].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]
    )


def _last_whole_checkpoint(out: Path) -> str | None:
    """Return the newest checkpoint that was written to its end; `trainer_state.json` is written last."""
    whole = []
    for state in out.glob("checkpoint-*/trainer_state.json"):
        try:
            json.loads(state.read_text(encoding="utf-8"))
        except ValueError:
            continue  # cut off, as by a full disk
        whole.append(state.parent)
    newest = max(whole, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), default=None)
    return str(newest) if newest else None


def _settings_file(config: TrainingConfig) -> Path:
    return config.out / "training.json"


def _settings(config: TrainingConfig) -> dict[str, Any]:
    """Return what a run is determined by, as JSON; where it is written to is not."""
    absolute = replace(config, data=config.data.resolve(), init=config.init and config.init.resolve())
    values: dict[str, Any] = json.loads(json.dumps(asdict(absolute), default=str))
    del values["out"]
    return values


def _refuse_other_settings(config: TrainingConfig) -> None:
    """Refuse to go on from checkpoints of a run that had other settings."""
    config.out.mkdir(parents=True, exist_ok=True)
    path = _settings_file(config)
    if _last_whole_checkpoint(config.out) is None or not path.is_file():
        return
    before, now = json.loads(path.read_text(encoding="utf-8")), _settings(config)
    other = [name for name in now if now[name] != before.get(name)]
    if other:
        raise AssistantError(
            f"{config.out} holds a run with other settings ({', '.join(other)}): choose another --out"
        )


__all__ = ["AnswerTrainer", "TrainingConfig", "train", "train_preset"]
