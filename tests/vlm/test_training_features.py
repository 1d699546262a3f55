"""What the tower says of a picture is computed once and kept, for the tower and the picture that it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.errors import AssistantError
from assistant.vlm.training import features as features_module
from assistant.vlm.training.adapter import AdapterConfig
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.features import keep_features
from assistant.vlm.training.trainer import train

from .tiny import dog_records, tiny_model, tiny_processor, write_photo_folder

PICTURES = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))


class CountedTower:
    """A tiny model's tower that counts the pictures it looks at, with a cache before it."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.tower = tiny_model(seed=seed).vision_tower
        self.looked_at = 0
        self.told: list[str] = []
        look = self.tower.forward

        def counted(pixel_values: torch.Tensor, **options: Any) -> Any:
            self.looked_at += len(pixel_values)
            return look(pixel_values=pixel_values, **options)

        self.tower.forward = counted
        keep_features(self.tower, folder, self.told.append)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.tower(pixel_values=pictures).last_hidden_state
        return found


def test_only_new_pictures_are_looked_at_and_the_features_are_the_towers_own(tmp_path: Path) -> None:
    first = CountedTower(tmp_path)
    first.features(PICTURES[:2])
    second = CountedTower(tmp_path)
    found = second.features(PICTURES[[2, 0, 1]])
    assert (first.looked_at, second.looked_at) == (2, 1)
    with torch.no_grad():
        wanted = tiny_model().vision_tower(pixel_values=PICTURES[[2, 0, 1]]).last_hidden_state
    torch.testing.assert_close(found, wanted)


def test_another_tower_does_not_take_them_for_its_own(tmp_path: Path) -> None:
    CountedTower(tmp_path).features(PICTURES)
    other = CountedTower(tmp_path, seed=1)
    other.features(PICTURES)
    assert other.looked_at == 3


def test_a_file_cut_off_by_a_kill_is_written_anew(tmp_path: Path) -> None:
    CountedTower(tmp_path).features(PICTURES)
    file, *_ = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    second, third = CountedTower(tmp_path), CountedTower(tmp_path)
    second.features(PICTURES)
    third.features(PICTURES)
    assert (second.looked_at, third.looked_at) == (1, 0)


def test_a_full_disk_is_told_once_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(features_module, "save_file", full)
    tower = CountedTower(tmp_path)
    assert tower.features(PICTURES).shape == tower.features(PICTURES).shape
    assert tower.looked_at == 6
    (line,) = tower.told
    assert "no space left on device; going on without keeping more" in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return TrainingConfig(
        data=write_photo_folder(tmp_path / "photos", dog_records(3)),
        out=tmp_path / "run",
        steps=4,
        batch=2,
        bf16=False,
        adapter=AdapterConfig(rank=2, alpha=4),
        mixture=MixtureConfig(crop=0.0),
    )


def test_a_run_learns_the_same_with_it(config: TrainingConfig, tmp_path: Path) -> None:
    def learnt(out: str, cache: Path | None) -> dict[str, torch.Tensor]:
        folder = train(
            tiny_model(), tiny_processor(), replace(config, out=tmp_path / out, feature_cache=cache)
        )
        return load_file(folder / "adapter_model.safetensors")

    plain = learnt("plain", None)
    for name in ("first", "again"):
        kept = learnt(name, tmp_path / "cache")
        for weight, wanted in plain.items():
            torch.testing.assert_close(kept[weight], wanted, rtol=0.02, atol=1e-3)
    # Three photos, as they are and mirrored.
    assert 3 <= len(list((tmp_path / "cache").rglob("*.safetensors"))) <= 6


def test_it_is_refused_where_pictures_are_cut_out_by_chance(config: TrainingConfig, tmp_path: Path) -> None:
    cropped = replace(config, mixture=MixtureConfig(crop=0.2), feature_cache=tmp_path / "cache")
    with pytest.raises(AssistantError, match=r"set crop under \[mixture\] to 0"):
        train(tiny_model(), tiny_processor(), cropped)
