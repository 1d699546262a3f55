"""The reference's weights in our model give the reference's numbers (see tests/parity/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.architecture.processing import MiniGPTv2ImageProcessor
from assistant.vlm.errors import WeightsError
from assistant.vlm.models.conversion import require_all_keys
from assistant.vlm.released.eva import (
    State,
    convert_eva_vit,
    convert_projection,
    eva_vit_config,
    interpolate_positions,
)

from .released_files import read_torch

PARITY = Path(__file__).parents[1] / "parity"
EVA_VIT, PROJECTION = PARITY / "eva_vit_g.pth", PARITY / "llama_proj.pth"
TOLERANCES = {
    "patch_embed": 5e-6,
    "block0": 5e-6,
    "vit_raw": 5e-6,
    "pos_embed": 0.0,
    "ln_vision": 2e-5,
    "encode_img": 2e-5,
}


def empty_model(image_size: int) -> MiniGPTv2ForConditionalGeneration:
    text = {"vocab_size": 8, "hidden_size": 64, "intermediate_size": 8, "num_hidden_layers": 1}
    config = MiniGPTv2Config(
        vision_config=eva_vit_config(image_size, hidden_size=32, layers=2, heads=2),
        text_config=text | {"num_attention_heads": 2},
        image_size=image_size,
    )
    model = MiniGPTv2ForConditionalGeneration(config)
    model.eval()
    return model


def load_reference_vision(
    model: MiniGPTv2ForConditionalGeneration, eva_vit: Path, projection: Path
) -> MiniGPTv2ForConditionalGeneration:
    """Load the reference's tower and linear layer into a model whose tower is `eva_vit_config`'s."""
    linear, layer_norm = convert_projection(read_torch(projection))
    tower = convert_eva_vit(read_torch(eva_vit), model.config.vision_config)
    model.vision_tower.load_state_dict(tower | layer_norm)
    model.vision_projection.load_state_dict(linear)
    return model


def converted_model(image_size: int) -> MiniGPTv2ForConditionalGeneration:
    return load_reference_vision(empty_model(image_size), EVA_VIT, PROJECTION)


def outputs(model: MiniGPTv2ForConditionalGeneration) -> State:
    """Return the output of each part for the reference's two images."""
    size = model.config.image_size
    names = json.loads((PARITY / "vision.json").read_text())["info"]["s56"]["images"]
    pictures = [Image.open(PARITY / "images" / name).convert("RGB") for name in names]
    processor = MiniGPTv2ImageProcessor(size={"height": size, "width": size})
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    tower = model.vision_tower
    with torch.no_grad():
        embedded = tower.embeddings(pixels)
        return {
            "patch_embed": tower.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2),
            "pos_embed": tower.embeddings.position_embedding,
            "block0": tower.encoder.layers[0](embedded),
            "vit_raw": tower.encoder(inputs_embeds=embedded).last_hidden_state,
            "ln_vision": tower(pixel_values=pixels).last_hidden_state,
            "encode_img": model.get_image_features(pixels),
        }


def changed(change: State, drop: str = "") -> State:
    """Return the tiny EVA ViT's weights with one added or removed."""
    return {name: tensor for name, tensor in (read_torch(EVA_VIT) | change).items() if name != drop}


TINY = eva_vit_config(56, hidden_size=32, layers=2, heads=2)


class TestPreprocessing:
    @pytest.mark.parametrize("key", np.load(PARITY / "preprocess.npz").files)
    def test_pictures_become_the_numbers_of_the_reference(self, key: str) -> None:
        name, size, *thinned = key.split("_")
        facts = json.loads((PARITY / "preprocess.json").read_text())
        image = Image.open(PARITY / "images" / facts["files"][name]).convert("RGB")
        processor = MiniGPTv2ImageProcessor(size={"height": int(size), "width": int(size)})
        pixels = np.asarray(processor([image], return_tensors="np")["pixel_values"][0])
        step = int(thinned[0].removeprefix("every")) if thinned else 1
        wanted = np.load(PARITY / "preprocess.npz")[key]
        np.testing.assert_allclose(pixels[:, ::step, ::step], wanted, rtol=0, atol=1e-6)
        whole = facts["checks_for_every_image_and_size"][f"{name}_{size}"]
        assert pixels.astype(np.float64).sum() == pytest.approx(whole["sum_float64"], rel=1e-6)

    def test_the_released_size_is_the_default(self) -> None:
        assert MiniGPTv2ImageProcessor().size == {"height": 448, "width": 448}


@pytest.fixture(scope="module")
def ours() -> State:
    return outputs(converted_model(56))


class TestVisionParity:
    @pytest.mark.parametrize("part", TOLERANCES)
    def test_every_part_gives_the_numbers_of_the_reference(self, ours: State, part: str) -> None:
        wanted = np.load(PARITY / "vision.npz")[f"s56.{part}"]
        np.testing.assert_allclose(ours[part].detach().numpy(), wanted, rtol=0, atol=TOLERANCES[part])

    def test_with_interpolated_positions_the_numbers_spread_as_in_the_reference(self) -> None:
        ours = outputs(converted_model(112))
        wanted: dict[str, float] = json.loads((PARITY / "vision.json").read_text())["info"]["s112"]["std"]
        # Antialiased or misaligned positions miss by more than a thousandth.
        assert {part: ours[part].double().std().item() for part in wanted} == pytest.approx(wanted, abs=1e-6)

    def test_a_layer_norm_of_the_checkpoint_is_used(self, tmp_path: Path) -> None:
        weight, bias = torch.full((32,), 2.0), torch.full((32,), 0.5)
        more = {"ln_vision.weight": weight, "ln_vision.bias": bias}
        torch.save(read_torch(PROJECTION) | more, tmp_path / "projection.pth")
        model = load_reference_vision(empty_model(56), EVA_VIT, tmp_path / "projection.pth")
        expected = outputs(converted_model(56))["ln_vision"] * 2 + 0.5
        torch.testing.assert_close(outputs(model)["ln_vision"], expected)


class TestPositions:
    def test_the_grid_of_the_file_is_left_alone(self) -> None:
        positions = torch.randn(1, 17, 3)
        assert interpolate_positions(positions, 4) is positions

    @pytest.mark.parametrize("side", [2, 6, 8])
    def test_the_class_part_is_untouched_and_a_constant_grid_stays_constant(self, side: int) -> None:
        positions = torch.cat([torch.full((1, 1, 3), 7.0), torch.full((1, 16, 3), 2.0)], dim=1)
        stretched = interpolate_positions(positions, side)
        assert stretched.shape == (1, 1 + side * side, 3)
        assert (stretched[:, 0] == 7.0).all()
        torch.testing.assert_close(stretched[:, 1:], torch.full((1, side * side, 3), 2.0))

    def test_shrinking_does_not_smooth(self) -> None:
        positions = torch.zeros(1, 17, 1)
        positions[0, 1:, 0] = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat(4)  # one bright column
        stretched = interpolate_positions(positions, 2)
        # Bicubic with a = -0.75 half-way between two points: -3/32, 19/32, 19/32, -3/32.
        torch.testing.assert_close(stretched[0, 1:, 0], torch.tensor([19 / 32, -3 / 32]).repeat(2))

    def test_rows_stay_rows(self) -> None:
        positions = torch.zeros(1, 17, 1)
        positions[0, 1:5, 0] = 1.0  # the top row
        grid = interpolate_positions(positions, 8)[0, 1:, 0].reshape(8, 8)
        assert (grid[0] > 0.9).all()
        assert (grid[4:].abs() < 0.2).all()


class TestStrictness:
    def test_the_released_tower_has_the_mlp_of_eva(self) -> None:
        config = eva_vit_config()
        assert (config.hidden_size, config.num_hidden_layers, config.intermediate_size) == (1408, 39, 6144)
        assert TINY.intermediate_size == 139

    def test_keys_have_no_bias(self) -> None:
        bias = convert_eva_vit(read_torch(EVA_VIT), TINY)["encoder.layers.0.self_attn.qkv.bias"]
        assert (bias[32:64] == 0).all()
        assert (bias[:32] != 0).any()
        assert (bias[64:] != 0).any()

    def test_what_the_reference_leaves_unused_is_ignored(self) -> None:
        unused = (
            "blocks.2.norm1.weight",
            "blocks.3.mlp.fc1.bias",
            "norm.weight",
            "norm.bias",
            "head.weight",
            "head.bias",
        )
        with_more = convert_eva_vit(changed({name: torch.ones(32) for name in unused}), TINY)
        without = convert_eva_vit(read_torch(EVA_VIT), TINY)
        assert with_more.keys() == without.keys()
        assert all(torch.equal(with_more[name], without[name]) for name in without)

    @pytest.mark.parametrize(
        "name",
        ["blocks.0.attn.k_bias", "blocks.0.extra", "ln_vision.weight", "rope"],
    )
    def test_an_unknown_key_is_named(self, name: str) -> None:
        with pytest.raises(WeightsError, match=rf"unknown \['{name}'\]"):
            convert_eva_vit(changed({name: torch.ones(32)}), TINY)

    @pytest.mark.parametrize("name", ["cls_token", "blocks.1.attn.v_bias", "blocks.0.mlp.fc2.weight"])
    def test_a_missing_key_is_named(self, name: str) -> None:
        with pytest.raises(WeightsError, match=rf"missing \['{name}'\]"):
            convert_eva_vit(changed({}, drop=name), TINY)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"there is no file .*no\.pth"):
            read_torch(tmp_path / "no.pth")

    def test_a_linear_layer_with_an_unknown_or_missing_key_is_refused(self) -> None:
        linear = read_torch(PROJECTION)
        with pytest.raises(WeightsError, match=r"unknown \['opt_proj\.weight'\]"):
            convert_projection(linear | {"opt_proj.weight": torch.ones(1)})
        with pytest.raises(WeightsError, match=r"missing \['llama_proj\.bias'\]"):
            convert_projection({"llama_proj.weight": linear["llama_proj.weight"]})
        with pytest.raises(WeightsError, match=r"missing \['ln_vision\.bias'\]"):
            convert_projection(linear | {"ln_vision.weight": torch.ones(32)})

    def test_a_report_with_a_missing_weight_is_an_error(self) -> None:
        report: dict[str, Any] = {"missing_keys": {"a"}, "unexpected_keys": set(), "mismatched_keys": set()}
        with pytest.raises(
            WeightsError, match=r"tower\.onnx does not fit the model.*'missing_keys': \['a'\]"
        ):
            require_all_keys(report, Path("tower.onnx"))
        require_all_keys(report | {"missing_keys": set()}, Path("tower.onnx"))

    def test_a_file_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        torch.save({"weight": Path("anything")}, tmp_path / "code.pth")
        with pytest.raises(WeightsError, match=r"code\.pth cannot be read"):
            read_torch(tmp_path / "code.pth")

    @pytest.mark.parametrize("content", [{"weights": {"weight": torch.ones(1)}}, [torch.ones(1)]])
    def test_a_file_of_another_form_is_refused(self, tmp_path: Path, content: Any) -> None:
        torch.save(content, tmp_path / "form.pth")
        with pytest.raises(WeightsError, match="not a flat file"):
            read_torch(tmp_path / "form.pth")
