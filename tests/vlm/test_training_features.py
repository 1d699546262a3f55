"""The cache of tower features: computed once, for those towers and that image only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, save_adapter
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.errors import AssistantError
from assistant.vlm.training import features as features_module
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.features import cache_features
from assistant.vlm.training.run import train

from .runs import short_run
from .tiny import TOWERS, tiny_config, tiny_model, tiny_processor

BOTH = "dinov2 and classifier"
PICTURES = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))


class CountedModel:
    """A tiny model with a feature cache that counts the images that its towers encode."""

    def __init__(self, folder: Path, model: MiniGPTv2ForConditionalGeneration | None = None) -> None:
        self.model = model or tiny_model(BOTH)
        self.looked_at = 0
        self.printed: list[str] = []
        self.model.vision_tower.register_forward_hook(self.count)
        cache_features(self.model, folder, self.printed.append)

    def count(self, _tower: nn.Module, _given: object, seen: BaseModelOutput) -> None:
        self.looked_at += len(seen.last_hidden_state)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.model.get_patches(pictures)


@pytest.mark.parametrize("towers", TOWERS)
def test_the_logits_are_the_same_with_a_cache(tmp_path: Path, towers: str) -> None:
    cached = CountedModel(tmp_path, tiny_model(towers)).model
    with torch.no_grad():
        wanted = tiny_model(towers).get_image_features(PICTURES)
        for _ in range(2):
            torch.testing.assert_close(cached.get_image_features(PICTURES), wanted)


def test_only_new_images_are_encoded(tmp_path: Path) -> None:
    first = CountedModel(tmp_path)
    first.features(PICTURES[:2])
    second = CountedModel(tmp_path)
    found = second.features(PICTURES[[2, 0, 1]])
    assert (first.looked_at, second.looked_at) == (2, 1)
    with torch.no_grad():
        wanted = tiny_model(BOTH).get_patches(PICTURES[[2, 0, 1]])
    torch.testing.assert_close(found, wanted)


def changed(change: str) -> MiniGPTv2ForConditionalGeneration:
    """Return the tiny two-tower model with one change in a tower."""
    if change == "patches_per_token":
        config = tiny_config(BOTH)
        config.patches_per_token = 2
        torch.manual_seed(0)
        return MiniGPTv2ForConditionalGeneration(config)
    model = tiny_model(BOTH)
    if change == "outputs":
        model.classifier_tower.config.outputs = (3, 2)
    else:
        next(model.get_submodule(change).parameters()).data += 1.0
    return model


@pytest.mark.parametrize("change", ["vision_tower", "classifier_tower", "outputs", "patches_per_token"])
def test_other_towers_have_other_keys(tmp_path: Path, change: str) -> None:
    CountedModel(tmp_path).features(PICTURES)
    other = CountedModel(tmp_path, changed(change))
    other.features(PICTURES)
    assert other.looked_at == 3


def test_a_truncated_file_is_rewritten(tmp_path: Path) -> None:
    CountedModel(tmp_path).features(PICTURES)
    file, *_ = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    second, third = CountedModel(tmp_path), CountedModel(tmp_path)
    second.features(PICTURES)
    third.features(PICTURES)
    assert (second.looked_at, third.looked_at) == (1, 0)


def test_a_full_disk_is_reported_once_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(features_module, "save_file", full)
    model = CountedModel(tmp_path)
    assert model.features(PICTURES).shape == model.features(PICTURES).shape
    assert model.looked_at == 6
    (line,) = model.printed
    assert "no space left on device; continuing without the cache" in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return short_run(tmp_path, bf16=False, mixture=MixtureConfig(crop=0.0))


def test_a_run_learns_the_same_with_it(config: TrainingConfig, tmp_path: Path) -> None:
    def learnt(out: str, cache: Path | None) -> dict[str, torch.Tensor]:
        folder = train(
            tiny_model(BOTH), tiny_processor(), replace(config, out=tmp_path / out, feature_cache=cache)
        )
        return load_file(folder / "adapter_model.safetensors")

    plain = learnt("plain", None)
    for name in ("first", "again"):
        kept = learnt(name, tmp_path / "cache")
        for weight, wanted in plain.items():
            torch.testing.assert_close(kept[weight], wanted, rtol=0.02, atol=1e-3)
    # Three photos, plain and mirrored.
    assert 3 <= len(list((tmp_path / "cache").rglob("*.safetensors"))) <= 6


def test_it_is_refused_with_random_crops(config: TrainingConfig, tmp_path: Path) -> None:
    cropped = replace(config, mixture=MixtureConfig(crop=0.2), feature_cache=tmp_path / "cache")
    with pytest.raises(AssistantError, match=r"set crop under \[mixture\] to 0"):
        train(tiny_model(), tiny_processor(), cropped)


def test_it_is_refused_with_a_trained_tower(config: TrainingConfig, tmp_path: Path) -> None:
    cached = replace(config, feature_cache=tmp_path / "cache")
    adapted = replace(cached, adapter=replace(cached.adapter or AdapterConfig(), tower=True))
    with pytest.raises(AssistantError, match="leave the feature cache out"):
        train(tiny_model(), tiny_processor(), adapted)
    folder = tmp_path / "adapter"
    save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2, tower=True)), folder, "base")
    with pytest.raises(AssistantError, match="leave the feature cache out"):
        train(tiny_model(), tiny_processor(), replace(cached, adapter=None, init=folder))
