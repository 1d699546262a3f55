"""Ablate the choices of nano's model and training: short runs from scratch that differ in one setting.

    python benchmarks/ablation.py --data photos --runs runs --steps 400 --seed 0 --seed 1 --limit 200 \\
        --compile --out benchmarks/results/ablation.json
    python benchmarks/ablation.py --data photos --runs runs --steps 150 --arm base --arm pixels-224 \\
        --arm one-tower --arm tower-lora --arm rank-64 --out benchmarks/results/choices.json

The first command is the paper's ablation: with and without task identifiers (arXiv 2310.09478), in both
training and evaluation. All arms of a seed see the same photos, views and questions in the same order. The
script measures the loss by task on validation photos and, with `--limit`, four suites of that many items.
Stopped runs resume from their checkpoints, and figures are written after each arm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from figures import arguments, publish
from transformers import Dinov2Config

from assistant.vlm.answers import Request
from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator
from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.data.mixture import open_mixture
from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.engine.local import LocalEngine, load_model
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.items import EvaluationSet, Suite
from assistant.vlm.evaluation.suites import photo_set
from assistant.vlm.models.presets import NANO
from assistant.vlm.models.weights import base_model
from assistant.vlm.tasks import Task, Turn, split_identifier
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.progress import Meter
from assistant.vlm.training.run import train_named
from assistant.vlm.vision_language_model import VisionLanguageModel

SUITES = ("caption", "phrase_refer", "phrase_identify", "vqa")
PICTURES = 4
# One sample per task and image keeps steps short, so that each arm sees more photos.
SAMPLES = dict.fromkeys(Task, 1)


@dataclass(frozen=True)
class Arm:
    """How one run differs from the base."""

    about: str
    identifiers: bool = True
    image_size: int = NANO.image_size
    tower_layers: int | None = None
    classifier: bool = True
    whiten: bool = True
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    samples: Mapping[Task, int] = field(default_factory=dict)

    def mixture(self) -> MixtureConfig:
        """Return the training mixture."""
        return MixtureConfig(identifiers=self.identifiers, per_task={**SAMPLES, **self.samples})


ARMS = {
    "base": Arm("two towers, 336 pixels, LoRA of rank 16 on the language model's linear layers, whitened"),
    "without-identifiers": Arm("prompts in words alone", identifiers=False),
    "pixels-224": Arm("images of 224 x 224: 64 visual tokens instead of 144", image_size=224),
    "one-tower": Arm("DINOv2 without EfficientNet", classifier=False),
    "tower-lora": Arm("LoRA on DINOv2 as well", adapter=AdapterConfig(tower=True)),
    "tower-9": Arm("9 blocks of the tower", tower_layers=9),
    "tower-7": Arm("7 blocks of the tower", tower_layers=7),
    "rank-4": Arm("LoRA of rank 4", adapter=AdapterConfig(rank=4, alpha=8)),
    "rank-64": Arm("LoRA of rank 64", adapter=AdapterConfig(rank=64, alpha=128)),
    "query-value-64": Arm(
        "LoRA of rank 64 on queries and values, the paper's places",
        adapter=AdapterConfig(rank=64, alpha=128, all_linear=False),
    ),
    "plain-basis": Arm("the linear layer in its plain basis", whiten=False),
    "captions-3": Arm("three captions per image", samples={Task.CAPTION: 3}),
    "refer-3": Arm("three referring expressions per image", samples={Task.REFER: 3}),
}


@dataclass(frozen=True)
class PlainRequest(Request):
    """A request without a task identifier in its prompt."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation, with its last question in words alone."""
        *history, last = super().turns
        return (*history, Turn(split_identifier(last.user)[1]))


def plain(data: EvaluationSet) -> EvaluationSet:
    """Return the same suites without identifiers."""

    def without_identifiers(suite: Suite) -> Suite:
        items = [replace(item, request=PlainRequest(**vars(item.request))) for item in suite.items]
        return replace(suite, items=items)

    return replace(data, suites={name: without_identifiers(suite) for name, suite in data.suites.items()})


def whole_model(arm: Arm, folder: Path) -> str:
    """Return the model to train: nano, or the folder of a nano with other towers or another image size."""
    if arm.image_size == NANO.image_size and arm.tower_layers is None and arm.classifier:
        return NANO.name
    base = base_model(NANO)
    model, processor = load_model(base), MiniGPTv2Processor.load(base)
    if arm.tower_layers is not None:
        model.vision_tower.encoder.layer = model.vision_tower.encoder.layer[: arm.tower_layers]
        # These depend on the number of layers.
        values = model.config.vision_config.to_dict()
        for name in ("stage_names", "out_features", "out_indices"):
            values.pop(name, None)
        model.config.vision_config = Dinov2Config(**values | {"num_hidden_layers": arm.tower_layers})
    if not arm.classifier:
        model = _without_classifier(model)
    _resize(model, arm.image_size)
    processor.image_processor.size = {"height": arm.image_size, "width": arm.image_size}
    processor.image_tokens = model.config.image_tokens
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def _without_classifier(model: MiniGPTv2ForConditionalGeneration) -> MiniGPTv2ForConditionalGeneration:
    model.config.classifier_config = None
    smaller: MiniGPTv2ForConditionalGeneration = MiniGPTv2ForConditionalGeneration(model.config)
    smaller.to(model.dtype)
    for name in ("vision_tower", "language_model"):
        smaller.get_submodule(name).load_state_dict(model.get_submodule(name).state_dict())
    return smaller


def _resize(model: MiniGPTv2ForConditionalGeneration, image_size: int) -> None:
    model.config.image_size = image_size
    if (classifier := model.config.classifier_config) is not None:
        classifier.grid = image_size // model.config.vision_config.patch_size
        classifier.image_size = 16 * classifier.grid


def train_arm(arm: Arm, options: argparse.Namespace, runs: Path, seed: int) -> Path:
    """Train an arm's adapter; return its folder."""
    config = TrainingConfig(
        data=options.data,
        out=runs / "run",
        model=whole_model(arm, runs / "model"),
        steps=options.steps,
        batch=PICTURES,
        warmup_steps=min(50, options.steps // 5),
        seed=seed,
        whiten=arm.whiten,
        compile_layers=options.compile,
        adapter=arm.adapter,
        mixture=arm.mixture(),
    )
    return train_named(config)


@torch.inference_mode()
def losses(arm: Arm, engine: LocalEngine, options: argparse.Namespace) -> dict[str, float]:
    """Return the mean loss per answer token by task, on the same validation photos for every arm."""
    mixture = MixtureConfig(identifiers=arm.identifiers, per_task=SAMPLES, mirror=0.0, crop=0.0)
    held_out = open_mixture(options.data, "val", mixture, options.pictures, seed=0)
    collate, meter = SharedImageCollator(engine.processor), Meter()
    for start in range(0, options.pictures, PICTURES):
        stop = min(start + PICTURES, options.pictures)
        batch = collate([held_out[index] for index in range(start, stop)])
        batch = {name: tensor.to(engine.model.device) for name, tensor in batch.items()}
        seen = {"tasks": batch.pop("tasks")}
        output = engine.model(**batch, answers_only=True, use_cache=False)
        meter.add(batch, seen, output.logits)
    found = meter.take()
    return {name: round(value, 4) for name, value in found.items() if name.startswith("loss_")}


def measures(arm: Arm, engine: LocalEngine, options: argparse.Namespace) -> dict[str, Any]:
    """Return the measures of the suites with their intervals."""
    data = photo_set(PhotoFolder(options.data, "val"), SUITES)
    report = evaluate(
        VisionLanguageModel(engine), data if arm.identifiers else plain(data), limit=options.limit
    )
    return {
        f"{suite}.{name}": figure
        for suite, part in report["tasks"].items()
        for name, figure in part["measures"].items()
    }


def run_arm(name: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train and measure one arm."""
    arm, start = ARMS[name], time.perf_counter()
    adapter = train_arm(arm, options, options.runs / f"{name}-{options.steps}-{seed}", seed)
    seconds = time.perf_counter() - start
    engine = LocalEngine.load(str(adapter))
    return {
        "arm": name,
        "about": arm.about,
        "seed": seed,
        "seconds": round(seconds),
        "validation": losses(arm, engine, options),
        "measures": measures(arm, engine, options) if options.limit else {},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run every arm with every seed."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of annotated photos")
    parser.add_argument("--runs", type=Path, required=True, help="a folder for the checkpoints")
    parser.add_argument("--arm", action="append", choices=ARMS, help="default: the paper's ablation")
    parser.add_argument("--steps", type=int, default=400, help="training steps of each run")
    parser.add_argument("--seed", type=int, action="append", help="run every arm with it; default: 0")
    parser.add_argument("--pictures", type=int, default=160, help="validation pictures for the losses")
    parser.add_argument("--limit", type=int, help="also run the suites, on this many items each")
    parser.add_argument("--compile", action="store_true", help="compile the layers, as training may")
    options = parser.parse_args(argv)
    names = options.arm or ["base", "without-identifiers"]
    found: list[dict[str, Any]] = []
    for seed in options.seed or [0]:
        for name in names:
            found.append(run_arm(name, options, seed))
            figures = {"steps": options.steps, "pictures_per_step": PICTURES, "limit": options.limit}
            publish({**figures, "validation_pictures": options.pictures, "runs": found}, options.out)


if __name__ == "__main__":
    main()
