"""A training run from top to bottom: model, data, loop, checkpoints, adapter.

It trains LoRA and the linear layer; everything else is frozen. The optimiser, the loss and the settings of
the loop are in `trainer.py`, and each optional step has its own module.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import set_seed

from ..architecture.adapter import AdapterConfig, add_adapter, load_adapter, save_adapter
from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..architecture.processing import MiniGPTv2Processor
from ..data.collator import SharedImageCollator
from ..data.mixture import InstructionMixture
from ..engine.local import load_model
from ..errors import WeightsError
from ..folders.reading import read_model_folder
from ..models.presets import PRESETS
from ..models.weights import base_model
from ..prompt_form import OURS, read_prompt_form
from .checkpoints import last_whole_checkpoint, prepare_folder, step_of, writing
from .compilation import compile_layers
from .config import TrainingConfig
from .features import cache_features
from .preflight import initial_adapter, open_data
from .processes import is_first_process
from .progress import LogLine, RunLog, discard, print_to_stderr
from .self_critical import AnswerSampler, rewards_for
from .sharding import BlankImageCollator, gather_weights, layer_classes
from .sheets import SheetWriter
from .stopping import StopOnSignal, TrainingStoppedError
from .trainer import AnswerTrainer
from .whitening import restore_weight, sample_images, trained_projection, whiten


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
    return _run(open_data(config, processor.prompt_form), model, processor, config, base_name, log_line)


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
    return _run(data, model, MiniGPTv2Processor.load(base), config, name, log_line)


def _run(
    data: InstructionMixture,
    model: MiniGPTv2ForConditionalGeneration,
    processor: MiniGPTv2Processor,
    config: TrainingConfig,
    base_name: str,
    log_line: LogLine,
) -> Path:
    first = is_first_process()
    log_line = log_line if first else discard
    if first:
        prepare_folder(config, log_line)
    set_seed(config.seed)  # before LoRA is initialised, for which the Trainer seeds too late

    layers = layer_classes(model)
    start = initial_adapter(config)
    adapted = (
        load_adapter(model, start, trainable=True, shape=config.adapter)
        if start
        else add_adapter(model, config.adapter or AdapterConfig())
    )
    if config.feature_cache:
        cache_features(adapted.get_base_model(), config.feature_cache, log_line)
    if config.whiten:
        whiten(adapted, processor, sample_images(data))
    if config.compile_layers:
        compile_layers(adapted, log_line)

    collate = SharedImageCollator(processor)
    sampler = None
    if config.self_critical:
        rewards = rewards_for(data.references())
        sampler = AnswerSampler(collate, adapted, processor, rewards, config.self_critical, bf16=config.bf16)
    trainer = AnswerTrainer(
        config, adapted, data, BlankImageCollator(collate) if config.fsdp else collate, sampler, layers
    )
    if first:
        trainer.add_callback(RunLog(config.out, log_line))
    if first and config.sample_every:
        trainer.add_callback(SheetWriter(adapted, processor, data, config))
    _fit(trainer, config, log_line)

    if config.whiten:
        restore_weight(trained_projection(adapted))
    state = gather_weights(trainer.model) if config.fsdp else None
    if first:
        with writing("adapter", config.out):
            save_adapter(adapted, config.out / "adapter", base_name, state)
    return config.out / "adapter"


def _fit(trainer: AnswerTrainer, config: TrainingConfig, log_line: LogLine) -> None:
    """Run the loop to its end, from the last checkpoint if there is one."""
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
