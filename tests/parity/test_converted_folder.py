"""The reference's numbers, by the functions that docs/released.md names, on a converted folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from assistant.vlm.architecture.adapter import load_adapter
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator
from assistant.vlm.data.instructions import Sample
from assistant.vlm.data.mixture import Example
from assistant.vlm.engine.local import load_model
from assistant.vlm.folders.base_note import ADAPTER
from assistant.vlm.released.conversion import convert_released
from assistant.vlm.released.eva import State
from assistant.vlm.released.exporting import export_checkpoint
from assistant.vlm.tasks import Task, Turn

from ..vlm.released_files import EVA_VIT, HEADS, PARITY, read_torch, write_checkpoint, write_llama
from .test_training import Reference, released_state

SIDES = (56, 112, 448)
KEYS: dict[str, Any] = json.loads((PARITY / "checkpoint_keys.json").read_text())
PICTURES: dict[str, str] = json.loads((PARITY / "preprocess.json").read_text())["files"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The converted folder of the reference's tiny tower, for pictures of each size."""
    place = tmp_path_factory.mktemp("released")
    llama, checkpoint = write_llama(place / "llama"), write_checkpoint(place / "c.pth", released_state())
    for side in SIDES:
        convert_released(llama, EVA_VIT, checkpoint, place / str(side), heads=HEADS, image_size=side)
    return {side: place / str(side) for side in SIDES}


def picture(name: str) -> Image.Image:
    return Image.open(PARITY / "images" / PICTURES[name])


@pytest.mark.parametrize("key", np.load(PARITY / "preprocess.npz").files)
def test_pixels(folders: dict[int, Path], key: str) -> None:
    name, side, *thinned = key.split("_")
    step = int(thinned[0].removeprefix("every")) if thinned else 1
    pixels = MiniGPTv2Processor.load(folders[int(side)]).pixels([picture(name)])[0]
    wanted = np.load(PARITY / "preprocess.npz")[key]
    np.testing.assert_allclose(pixels[:, ::step, ::step], wanted, rtol=0, atol=1e-6)


def features(folder: Path) -> torch.Tensor:
    pixels = MiniGPTv2Processor.load(folder).pixels([picture("noise"), picture("pattern")])
    with torch.no_grad():
        return load_model(folder, torch.float32).get_image_features(pixels)


def test_visual_tokens(folders: dict[int, Path]) -> None:
    wanted = np.load(PARITY / "vision.npz")["s56.encode_img"]
    np.testing.assert_allclose(features(folders[56]), wanted, rtol=0, atol=2e-5)


def test_visual_tokens_with_interpolated_positions(folders: dict[int, Path]) -> None:
    spread = json.loads((PARITY / "vision.json").read_text())["info"]["s112"]["std"]["encode_img"]
    assert features(folders[112]).double().std().item() == pytest.approx(spread, abs=1e-6)


def test_checkpoint_keys_in_and_out(folders: dict[int, Path], tmp_path: Path) -> None:
    torch.manual_seed(0)
    state: State = {
        name: torch.randn(it["shape"], dtype=getattr(torch, it["dtype"].removeprefix("torch.")))
        for name, it in KEYS["model"].items()
    }
    checkpoint = write_checkpoint(tmp_path / "c.pth", state)
    convert_released(folders[56].parent / "llama", EVA_VIT, checkpoint, tmp_path / "ours", heads=HEADS)
    export_checkpoint(tmp_path / "ours", tmp_path / "out.pth")
    trained = {name: tensor for name, tensor in state.items() if not name.endswith("inv_freq")}
    torch.testing.assert_close(read_torch(tmp_path / "out.pth"), trained, rtol=0, atol=0)


def test_gradients(folders: dict[int, Path]) -> None:
    """Of the loss, against the reference's formulas, which `test_training.py` writes out."""
    folder = folders[56]
    processor = MiniGPTv2Processor.load(folder)
    asked = [
        Sample(Task.REFER, Turn("[refer] the dog", "{<4><6><30><28>}")),
        Sample(Task.VQA, Turn("what?", "a dog")),
    ]
    examples = [Example(picture("noise"), asked[:1]), Example(picture("pattern"), asked[1:])]
    reference = Reference.of(folder, processor)
    wanted = reference.loss(examples)
    wanted.backward()
    model = load_adapter(load_model(folder, torch.float32), folder / ADAPTER, trainable=True).eval()
    batch = SharedImageCollator(processor)(examples)
    del batch["tasks"]
    loss = model(**batch).loss
    loss.backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    found = {
        name.replace(".default", "").replace(".modules_to_save", "").removeprefix("base_model.model."): it
        for name, it in model.named_parameters()
        if it.requires_grad
    }
    assert len(found) == len(reference.trained)
    for name, weights in reference.trained.items():
        ours = name.replace("llama_proj", "vision_projection")
        ours = ours if ours.startswith("vision") else f"language_model.{ours}"
        assert weights.grad is not None
        assert weights.grad.abs().max() > 1e-4
        torch.testing.assert_close(found[ours].grad, weights.grad, atol=1e-5, rtol=0, msg=name)
