"""The loop of a run: transformers' Trainer with our optimiser, order of the data, loss and log."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import Dataset, Sampler
from transformers import PrinterCallback, Trainer, TrainingArguments

from ..data.lengths import LengthBuckets
from ..data.mixture import Example, InstructionMixture
from ..errors import AssistantError
from .adapted_model import AdaptedModel, Output
from .checkpoints import writing
from .config import TrainingConfig
from .processes import processes
from .progress import Meter
from .sharding import Collate

# Inputs for the log, not for the model.
_SEEN = ("tasks", "rewards", "rewarded")


class AnswerTrainer(Trainer):
    """Computes logits only at labelled positions, because the head is a quarter of the work.

    `sampler` takes the place of `collate` in the training step, so that it sees the current weights; `layers`
    are the class names of the layers to shard.

    Raises:
        AssistantError: the weights cannot be sharded on this machine.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: AdaptedModel,
        data: InstructionMixture,
        collate: Collate,
        sampler: Collate | None,
        layers: Sequence[str],
    ) -> None:
        self._config = config
        self._meter = Meter()
        self._sampler = sampler
        super().__init__(
            model=model,
            args=_arguments(config, layers),
            train_dataset=data,
            data_collator=list if sampler else collate,
        )
        self.remove_callback(PrinterCallback)
        if config.fsdp and not self.is_fsdp_enabled:
            # accelerate would keep a full copy in each process.
            raise AssistantError("fsdp shards weights over GPUs, and there is none here: leave it out")

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create AdamW with separate rates for LoRA and the linear layer, and no weight decay for biases."""
        config = self._config
        groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
        for name, parameter in (model or self.model).named_parameters():
            if parameter.requires_grad:
                projection = "vision_projection" in name
                rate = config.projection_learning_rate if projection else config.learning_rate
                groups[rate, config.weight_decay if parameter.ndim >= 2 else 0.0].append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "lr": rate, "weight_decay": decay}
                for (rate, decay), parameters in groups.items()
            ]
        )
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LRScheduler:
        """Create the reference's schedule if the settings have one."""
        schedule, warmup = self._config.schedule, self._config.warmup_steps
        if schedule is None:
            created: LRScheduler = super().create_scheduler(num_training_steps, optimizer)
            return created
        optimizer = optimizer or self.optimizer

        def share(peak: float) -> Callable[[int], float]:
            return lambda step: schedule.rate(step, peak, warmup, num_training_steps) / peak if peak else 0.0

        scheduler = LambdaLR(optimizer, [share(group["lr"]) for group in optimizer.param_groups])
        self.lr_scheduler = scheduler
        return scheduler

    def _get_train_sampler(self, _train_dataset: Dataset[Example] | None = None) -> Sampler[int]:
        # The same steps for any number of processes and accumulation steps.
        return LengthBuckets(self.train_dataset, self._config.batch, self._config.seed)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor | int | None]:
        """Return the batches of a step, and the number of their labels."""
        batches = epoch_iterator if self._sampler is None else map(self._sampled, count(), epoch_iterator)
        return super().get_batch_samples(batches, num_batches, device)  # type: ignore[no-any-return]

    def _sampled(self, part: int, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return a batch with answers that depend on the weights, the seed and the step alone."""
        assert self._sampler is not None
        with torch.random.fork_rng([self.args.device] if self.args.device.type == "cuda" else []):
            seed = random.Random(f"{self._config.seed}:{self.state.global_step}:{part}").getrandbits(63)
            torch.manual_seed(seed)
            return self._sampler(examples)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Output]:
        """Return the mean loss over all labelled tokens of the step, across processes and accumulation."""
        seen = {name: inputs[name] for name in _SEEN if name in inputs}
        inputs = {name: tensor for name, tensor in inputs.items() if name not in seen}
        loss, outputs = super().compute_loss(
            model, inputs | {"answers_only": True, "use_cache": False}, True, num_items_in_batch
        )
        self._meter.add(inputs, seen, outputs.logits)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the losses by task and the throughput to a log line."""
        super().log(logs | self._meter.take() if "loss" in logs else logs, start_time)

    def _save_checkpoint(self, model: object, trial: object) -> None:
        with writing(f"checkpoint of step {self.state.global_step}", self._config.out):
            super()._save_checkpoint(model, trial)


def _arguments(config: TrainingConfig, layers: Sequence[str]) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    sharding: dict[str, object] = {
        "transformer_layer_cls_to_wrap": list(layers),
        "activation_checkpointing": config.gradient_checkpointing,
    }
    return TrainingArguments(
        output_dir=str(config.out),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch // (processes() * config.gradient_accumulation),
        gradient_accumulation_steps=config.gradient_accumulation,
        warmup_steps=config.warmup_steps,
        lr_scheduler_type="cosine",
        max_grad_norm=config.max_gradient_norm,
        seed=config.seed,
        bf16=config.bf16,
        use_cpu=not gpu,
        ddp_backend="gloo" if processes() > 1 and not gpu else None,
        fsdp=config.fsdp or None,
        fsdp_config=sharding if config.fsdp else None,
        gradient_checkpointing=config.gradient_checkpointing and not config.fsdp,
        dataloader_num_workers=8 if gpu else 0,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        save_steps=config.save_every,
        save_total_limit=3,
        logging_steps=config.log_every,
        disable_tqdm=True,
        report_to=[],
    )
