"""Train LoRA and the linear layer with transformers' Trainer; everything else is frozen."""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from peft import PeftModel
from PIL import Image
from safetensors import SafetensorError
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import Dataset, Sampler
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from ..data.collator import SharedImageCollator
from ..data.lengths import LengthBuckets
from ..data.mixture import InstructionMixture
from ..engine.local import load_model
from ..errors import AssistantError, WeightsError
from ..model_folder import read_model_folder
from ..modeling import MiniGPTv2ForConditionalGeneration
from ..presets import PRESETS
from ..processing import MiniGPTv2Processor
from ..prompt_form import OURS, read_prompt_form
from ..tasks import Task
from ..weights import base_model
from .adapter import AdapterConfig, add_adapter, load_adapter, save_adapter
from .batches import BlankImageCollator, Collate
from .checkpoints import (
    last_whole_checkpoint,
    remove_torn_checkpoints,
    step_of,
    write_settings,
)
from .config import TrainingConfig
from .features import cache_features
from .preflight import initial_adapter, open_data
from .processes import is_first_process, processes
from .progress import LogLine, Meter, RunLog
from .self_critical import CaptionReward, Reward, SelfCriticalCollator, box_reward
from .sheets import IMAGES, SheetWriter, draw_sheet
from .stopping import StopOnSignal, TrainingStoppedError
from .whitening import IMAGES as WHITENING_IMAGES
from .whitening import restore_weight, trained_projection, whiten

# Errors on a full disk: of Python, torch and safetensors.
_WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
# Inputs for the log, not for the model.
_SEEN = ("tasks", "rewards", "rewarded")


def print_to_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)


class AnswerTrainer(Trainer):
    """Computes logits only at labelled positions, because the head is a quarter of the work."""

    def __init__(self, config: TrainingConfig, **options: Any) -> None:
        self._config = config
        self._meter = Meter()
        super().__init__(**options)

    def create_accelerator_and_postprocess(self) -> None:
        """Enable FSDP on CPUs, where accelerate would silently keep a full copy in each process."""
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        if self.args.fsdp and state.distributed_type is DistributedType.MULTI_CPU:
            plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            if state.mixed_precision != "no":
                plugin.set_mixed_precision(state.mixed_precision)
            state.fsdp_plugin, state.distributed_type = plugin, DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.is_fsdp_enabled = True

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

    def _get_train_sampler(self, _train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        # The same steps for any number of processes and accumulation steps.
        return LengthBuckets(self.train_dataset, self._config.batch, self._config.seed)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except _WRITE_ERRORS as error:
            what = f"checkpoint of step {self.state.global_step}"
            raise _cannot_save(self._config.out, what, error) from error


def train(
    model: MiniGPTv2ForConditionalGeneration,
    processor: MiniGPTv2Processor,
    config: TrainingConfig,
    base_name: str = "",
    log_line: LogLine = print_to_stderr,
) -> Path:
    """Train an adapter for the model; return its folder.

    `base_name` is the preset or folder that the adapter records as its base model. Resumes from the last
    checkpoint in `config.out`, if any. Under torchrun the processes share the work and the first one writes.

    Raises:
        DataError: the data is invalid.
        AssistantError: `config.out` holds a run with other settings or cannot be written, or the number of
            processes does not divide the batch.
        TrainingStoppedError: a signal stopped the run, which was saved.
    """
    return _train_on(open_data(config, processor.prompt_form), model, processor, config, base_name, log_line)


def train_named(config: TrainingConfig, log_line: LogLine = print_to_stderr) -> Path:
    """Train an adapter for `config.model`, a preset or a folder; return the adapter's folder.

    Raises:
        WeightsError: the model does not exist, or its weights are unavailable.
        AssistantError, DataError, TrainingStoppedError: as in `train`.
    """
    folder = Path(config.model)
    named, whole = config.model in PRESETS, (folder / "config.json").is_file()
    if not named and (folder / "adapter_config.json").is_file():
        raise WeightsError(
            f"{folder} is an adapter: start from it with --init, and name its model with --model"
        )
    if not named and not whole:
        raise WeightsError(
            f"no model {config.model!r} to train: name {', '.join(PRESETS)} or the folder of a whole model "
            "(--model), such as one that `assistant models convert` wrote"
        )
    form = OURS if named else read_prompt_form(read_model_folder(folder).processor.prompt_form)
    data = open_data(config, form)  # report errors before fetching weights
    base = base_model(PRESETS[config.model]) if named else folder
    # On a CPU the backward pass of fused attention is slower than that of plain matrix products.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    model = load_model(base, None if config.bf16 else torch.float32, attn_implementation=attention)
    name = config.model if named else str(folder.resolve())
    return _train_on(data, model, MiniGPTv2Processor.load(base), config, name, log_line)


def _train_on(
    data: InstructionMixture,
    model: MiniGPTv2ForConditionalGeneration,
    processor: MiniGPTv2Processor,
    config: TrainingConfig,
    base_name: str,
    log_line: LogLine,
) -> Path:
    first = is_first_process()
    log_line = log_line if first else _discard
    if first:
        _prepare_folder(config, log_line)
    set_seed(config.seed)  # before LoRA is initialised, for which the Trainer seeds too late
    layers = _layer_classes(model)
    start = initial_adapter(config)
    adapted = (
        load_adapter(model, start, trainable=True, shape=config.adapter)
        if start
        else add_adapter(model, config.adapter or AdapterConfig())
    )
    if config.feature_cache:
        cache_features(adapted.get_base_model(), config.feature_cache, log_line)
    if config.whiten:
        whiten(adapted, processor, _whitening_images(data))
    if config.compile_layers:
        _compile_layers(adapted, log_line)
    collate: Collate = SharedImageCollator(processor)
    if config.self_critical:
        collate = SelfCriticalCollator(
            collate, adapted, processor, _rewards(data), config.self_critical, bf16=config.bf16
        )
    trainer = AnswerTrainer(
        config,
        model=adapted,
        args=_arguments(config, layers),
        train_dataset=data,
        data_collator=BlankImageCollator(collate) if config.fsdp else collate,
    )
    trainer.remove_callback(PrinterCallback)
    if first:
        trainer.add_callback(RunLog(config.out, log_line))
        if config.sample_every:
            trainer.add_callback(_sheet_writer(adapted, processor, data, config))
    _fit(trainer, config, log_line)
    if config.whiten:
        restore_weight(trained_projection(adapted))
    state = _gathered(trainer.model) if config.fsdp else None
    if first:
        try:
            save_adapter(adapted, config.out / "adapter", base_name, state)
        except _WRITE_ERRORS as error:
            raise _cannot_save(config.out, "adapter", error) from error
    return config.out / "adapter"


def _rewards(data: InstructionMixture) -> dict[Task, Reward]:
    """Return the reward of each task; captions have one only if there are human captions."""
    captions = data.references()
    return {Task.REFER: box_reward} | ({Task.CAPTION: CaptionReward(captions)} if captions else {})


def _whitening_images(data: InstructionMixture) -> Iterator[Image.Image]:
    examples = (data[index] for index in range(min(WHITENING_IMAGES, len(data))))
    return (example.image for example in examples if example.image is not None)


def _gathered(model: nn.Module) -> dict[str, Any]:
    """Gather the trained weights of all shards; every process must call it."""
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return get_model_state_dict(model, options=whole)


def _fit(trainer: AnswerTrainer, config: TrainingConfig, log_line: LogLine) -> None:
    checkpoint = last_whole_checkpoint(config.out)
    if checkpoint is not None:
        log_line(f"resuming from step {step_of(checkpoint)} of {config.steps} ({checkpoint})")
    elif initial_adapter(config):
        log_line(f"starting from the adapter {config.init}: {config.steps} steps of {config.batch} images")
    with StopOnSignal(log_line) as stop:
        trainer.add_callback(stop)
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    done = trainer.state.global_step
    if done < config.steps:
        raise TrainingStoppedError(
            f"stopped after step {done} of {config.steps}, saved in {config.out / f'checkpoint-{done}'}; "
            "the same command resumes from there"
        )


def _prepare_folder(config: TrainingConfig, log_line: LogLine) -> None:
    try:
        write_settings(config)
        for name in remove_torn_checkpoints(config.out):
            log_line(f"removed {name}: it is incomplete")
    except OSError as error:
        raise _cannot_save(config.out, "settings", error) from error


def _cannot_save(out: Path, what: str, error: Exception) -> AssistantError:
    last = last_whole_checkpoint(out)
    outcome = f"resumes from step {step_of(last)}" if last else "starts again"
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return AssistantError(
        f"cannot write the {what} to {out}: {reason}; make room there, and the same command {outcome}"
    )


def _sheet_writer(
    model: PeftModel, processor: MiniGPTv2Processor, mixture: InstructionMixture, config: TrainingConfig
) -> SheetWriter:
    examples = [mixture[index] for index in range(min(IMAGES, len(mixture)))]

    def draw() -> Image.Image:
        return draw_sheet(model, processor, examples, bf16=config.bf16)

    return SheetWriter(config.out / "sheets", config.sample_every, draw)


def _arguments(config: TrainingConfig, layers: list[str]) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    sharding: dict[str, Any] = {
        "transformer_layer_cls_to_wrap": layers,
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
        # Answers are sampled in the process that has the model.
        dataloader_num_workers=8 if gpu and not config.self_critical else 0,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        save_steps=config.save_every,
        save_total_limit=3,
        logging_steps=config.log_every,
        disable_tqdm=True,
        report_to=[],
    )


def _layer_classes(model: nn.Module) -> list[str]:
    """Return the class names of the layers in the stacks of the towers and the language model."""
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return sorted({type(layer).__name__ for stack in stacks for layer in stack})


def _compile_layers(model: PeftModel, log_line: LogLine) -> None:
    """Compile the layers of the language model, for variable lengths."""
    compilers = (os.environ.get("CXX"), "g++", "clang++", "cl")
    if not torch.cuda.is_available() and not any(name and shutil.which(name) for name in compilers):
        log_line("no C++ compiler found: continuing without compiled layers")
        return
    for layer in model.get_base_model().language_model.get_decoder().layers:
        layer.compile(dynamic=True)


def _discard(line: str) -> None:
    """Log nothing: only the first process logs."""


__all__ = ["AnswerTrainer", "TrainingConfig", "train", "train_named"]
