"""Averaging adapters that were trained from one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from assistant.ui.cli import app
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, load_adapter, save_adapter
from assistant.vlm.errors import WeightsError
from assistant.vlm.training.averaging import average_adapters

from .tiny import tiny_model

WEIGHTS = "adapter_model.safetensors"


def write_adapter(
    folder: Path, *, seed: int = 0, moved: float = 0.0, rank: int = 2, base: str = "tiny"
) -> Path:
    """Write an adapter from a seed, moved a little in the same direction for all."""
    torch.manual_seed(seed)
    model = add_adapter(tiny_model(), AdapterConfig(rank=rank, alpha=4))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01 * torch.randn_like(parameter) + moved
    save_adapter(model, folder, base)
    return folder


@pytest.fixture
def adapters(tmp_path: Path) -> list[Path]:
    return [write_adapter(tmp_path / "one"), write_adapter(tmp_path / "two", moved=0.02)]


def test_the_mean_lies_in_the_middle_and_is_an_adapter(adapters: list[Path], tmp_path: Path) -> None:
    average_adapters(adapters, tmp_path / "made" / "mean")
    one, two, mean = (load_file(folder / WEIGHTS) for folder in (*adapters, tmp_path / "made" / "mean"))
    assert mean.keys() == one.keys()
    for name, tensor in mean.items():
        assert tensor.dtype == one[name].dtype
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2)
    assert any(not torch.equal(mean[name], one[name]) for name in mean)
    load_adapter(tiny_model(), tmp_path / "made" / "mean")


def another_rank(folder: Path) -> Path:
    return write_adapter(folder, rank=4)


def another_base(folder: Path) -> Path:
    return write_adapter(folder, base="other")


def another_training(folder: Path) -> Path:
    """An adapter with another initialisation."""
    write_adapter(folder)
    weights = load_file(folder / WEIGHTS)
    torch.manual_seed(5)
    save_file({name: torch.randn_like(tensor) for name, tensor in weights.items()}, folder / WEIGHTS)
    return folder


def torn(folder: Path) -> Path:
    write_adapter(folder)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])
    return folder


def without_settings(folder: Path) -> Path:
    write_adapter(folder)
    (folder / "adapter_config.json").unlink()
    return folder


def with_broken_settings(folder: Path) -> Path:
    write_adapter(folder)
    (folder / "adapter_config.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (another_rank, "different shapes"),
        (another_base, "different shapes or models"),
        (another_training, "come from unrelated trainings"),
        (torn, r"adapter_model\.safetensors cannot be read"),
        (without_settings, "there is no file .*adapter_config.json"),
        (with_broken_settings, "adapter_config.json: Invalid JSON"),
        (lambda folder: folder, r"there is no file .*adapter_model\.safetensors"),
    ],
)
def test_unrelated_adapters_are_refused_in_one_line_and_nothing_is_written(
    adapters: list[Path], tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        average_adapters([adapters[0], make(tmp_path / "other")], tmp_path / "mean")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mean").exists()


def test_one_adapter_has_no_mean(adapters: list[Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="two adapters or more"):
        average_adapters(adapters[:1], tmp_path / "mean")


def test_an_existing_folder_is_not_overwritten(adapters: list[Path]) -> None:
    before = (adapters[1] / WEIGHTS).read_bytes()
    with pytest.raises(WeightsError, match="exists: name a new folder"):
        average_adapters(adapters, adapters[1])
    assert (adapters[1] / WEIGHTS).read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_line(adapters: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        average_adapters(adapters, tmp_path / "file" / "mean")


def test_the_command_prints_the_folder(adapters: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean"
    done = CliRunner().invoke(app, ["models", "average", *map(str, adapters), "--out", str(out)])
    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    assert (out / WEIGHTS).is_file()
