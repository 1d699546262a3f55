"""The second tower with tiny random weights: convolutions, maps, and features joined with the first one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.efficientnet import (
    EfficientNetLite,
    EfficientNetLiteConfig,
    InvertedResidual,
    SameConv2d,
    fold_batch_norm,
)
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.models import conversion
from assistant.vlm.models.conversion import convert_nano, read_efficientnet_lite

from .tiny import IMAGE_SIZE, classifier_config, tiny_config, tiny_model, tiny_tokenizer

BOTH = "dinov2 and classifier"


def tower(**config: Any) -> EfficientNetLite:
    torch.manual_seed(0)
    model = EfficientNetLite(EfficientNetLiteConfig(**(classifier_config().to_dict() | config)))
    for convolution in model.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.kaiming_normal_(convolution.weight)  # small weights would make every feature alike
    model.eval()
    return model


class TestSamePadding:
    @pytest.mark.parametrize(
        ("size", "kernel", "stride", "before", "after"),
        [
            pytest.param(8, 3, 1, 1, 1, id="even on both sides"),
            pytest.param(8, 3, 2, 0, 1, id="more of it after"),
            pytest.param(7, 3, 2, 1, 1, id="an odd size"),
            pytest.param(8, 5, 2, 1, 2, id="a wide kernel"),
            pytest.param(8, 1, 1, 0, 0, id="nothing to pad"),
        ],
    )
    def test_it_is_tensorflows(self, size: int, kernel: int, stride: int, before: int, after: int) -> None:
        torch.manual_seed(0)
        convolution, maps = SameConv2d(2, 3, kernel, stride), torch.randn(1, 2, size, size)
        padded = functional.pad(maps, (before, after, before, after))
        wanted = functional.conv2d(padded, convolution.weight, convolution.bias, stride)
        assert wanted.shape[-1] == -(-size // stride)
        torch.testing.assert_close(convolution(maps), wanted)

    def test_each_side_is_padded_independently(self) -> None:
        assert SameConv2d(1, 1, 3, 2)(torch.zeros(1, 1, 8, 5)).shape == (1, 1, 4, 3)


class TestBlocks:
    def test_folding_batch_normalisation_changes_nothing(self) -> None:
        torch.manual_seed(0)
        convolution, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3).eval()
        for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            assert values is not None
            values.uniform_(0.5, 2.0)
        maps = torch.randn(2, 3, 6, 6)
        weight, bias = fold_batch_norm(convolution.weight, dict(norm.state_dict()))
        torch.testing.assert_close(functional.conv2d(maps, weight, bias), norm(convolution(maps)))

    @pytest.mark.parametrize(("outputs", "stride", "added"), [(4, 1, True), (4, 2, False), (6, 1, False)])
    def test_the_input_is_added_where_the_shape_stays(self, outputs: int, stride: int, added: bool) -> None:
        block = InvertedResidual(4, outputs, 3, stride, 6)
        nn.init.zeros_(block.project.weight)
        nn.init.zeros_(block.project.bias)
        maps = torch.randn(1, 4, 8, 8)
        side = 8 // stride
        torch.testing.assert_close(block(maps), maps if added else torch.zeros(1, outputs, side, side))

    def test_a_block_that_does_not_widen_has_no_layer_for_it(self) -> None:
        assert InvertedResidual(4, 4, 3, 1, 1).expand is None


class TestTower:
    def test_the_default_is_efficientnet_lite2_at_strides_16_and_32(self) -> None:
        config = EfficientNetLiteConfig()
        assert config.hidden_size == 120 + 352
        with torch.device("meta"):
            model = EfficientNetLite(config)
        assert len(model.blocks) == 21
        assert sum(weight.numel() for weight in model.parameters()) == 4_330_184

    def test_the_configured_maps_come_in_order_on_one_grid(self) -> None:
        pixels = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
        both, first, last = (tower(outputs=blocks) for blocks in ((2, 3), (2,), (3,)))
        with torch.no_grad():
            fine, coarse = (model(pixels).last_hidden_state for model in (first, last))
            found = both(pixels).last_hidden_state
        assert (fine.shape, coarse.shape) == ((2, 16, 8), (2, 16, 12))
        torch.testing.assert_close(found, torch.cat([fine, coarse], dim=-1))

    def test_cells_are_in_raster_order(self) -> None:
        pixels = torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)
        pixels[..., :14, 42:] = 5.0  # above, on the right
        model = tower(outputs=(0,))
        with torch.no_grad():
            plain, marked = (model(it).last_hidden_state for it in (torch.zeros_like(pixels), pixels))
        assert int((marked - plain).norm(dim=-1).argmax()) == 3

    def test_it_renormalises_pixels_as_in_its_training(self) -> None:
        model, seen = tower(), list[torch.Tensor]()
        model.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        levels = torch.tensor([0.0, 127.0, 255.0])[:, None, None].expand(3, IMAGE_SIZE, IMAGE_SIZE) / 255
        mean, std = (
            torch.tensor(it)[:, None, None] for it in (model.config.image_mean, model.config.image_std)
        )
        model(((levels - mean) / std)[None])
        assert seen[0].shape == (1, 3, 32, 32)
        assert seen[0][0, :, 0, 0].tolist() == pytest.approx([-127 / 128, 0.0, 1.0], abs=1e-5)


class TestJoining:
    def test_each_patch_has_the_features_of_both_towers_the_classifiers_last(self) -> None:
        model, pixels = tiny_model(BOTH), torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
        with torch.no_grad():
            first = model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
            second = model.classifier_tower(pixel_values=pixels).last_hidden_state
            merged = model.get_patches(pixels)
        width = model.config.patch_features
        assert (width, merged.shape) == (16 + 20, (2, 4, 4 * width))
        patches = merged.reshape(2, 16, width)
        torch.testing.assert_close(patches[..., :16], first)
        torch.testing.assert_close(patches[..., 16:], second)

    def test_the_linear_layer_takes_all_features(self) -> None:
        model, pixels = tiny_model(BOTH), torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE)
        with torch.no_grad():
            tokens, patches = model.get_image_features(pixels), model.get_patches(pixels)
        torch.testing.assert_close(tokens, model.vision_projection(patches))

    def test_the_second_tower_is_optional(self) -> None:
        model, pixels = tiny_model("dinov2"), torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE)
        assert (model.classifier_tower, model.config.patch_features) == (None, 16)
        with torch.no_grad():
            first = model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
            torch.testing.assert_close(model.get_patches(pixels), model.merge(first))

    def test_maps_on_another_grid_than_the_patches_are_refused(self) -> None:
        config = tiny_config()
        with pytest.raises(ValueError, match="maps have 5 cells a side, the vision tower's patches 4"):
            MiniGPTv2Config(
                vision_config=config.vision_config,
                text_config=config.text_config,
                classifier_config=classifier_config().to_dict() | {"grid": 5},
                image_size=IMAGE_SIZE,
            )

    def test_a_saved_model_has_both_towers(self, tmp_path: Path) -> None:
        model, pixels = tiny_model(BOTH), torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE)
        model.save_pretrained(tmp_path)
        loaded = MiniGPTv2ForConditionalGeneration.from_pretrained(tmp_path)
        assert isinstance(loaded.classifier_tower, EfficientNetLite)
        kept, wanted = (it.config.classifier_config.to_dict() for it in (loaded, model))
        assert kept | {"dtype": None} == wanted
        with torch.no_grad():
            assert torch.equal(loaded.get_patches(pixels), model.get_patches(pixels))


def published(config: EfficientNetLiteConfig) -> dict[str, torch.Tensor]:
    """Return random weights in the names of `efficientnet_lite_pytorch`, classifier and all."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {"_fc.weight": torch.randn(3, 12), "_fc.bias": torch.randn(3)}

    def add(name: str, norm: str, convolution: nn.Conv2d) -> None:
        channels = len(convolution.weight)
        state[f"{name}.weight"] = torch.randn_like(convolution.weight) * 0.3
        state[f"{norm}.weight"], state[f"{norm}.running_var"] = torch.rand(2, channels) + 0.5
        state[f"{norm}.bias"], state[f"{norm}.running_mean"] = torch.randn(2, channels)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(1)

    model = EfficientNetLite(config)
    add("_conv_stem", "_bn0", model.stem)
    add("_conv_head", "_bn1", SameConv2d(12, 16, 1))
    for index, block in enumerate(model.blocks):
        theirs = f"_blocks.{index}"
        for layer, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if (convolution := getattr(block, layer)) is not None:
                add(f"{theirs}._{layer}_conv", f"{theirs}.{norm}", convolution)
    return state


class TestConversion:
    @pytest.fixture
    def checkpoint(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(conversion, "EfficientNetLiteConfig", classifier_config)
        torch.save(published(classifier_config()), tmp_path / "lite.pth")
        return tmp_path / "lite.pth"

    def test_every_convolution_comes_with_its_own_normalisation(self, checkpoint: Path) -> None:
        state, model = torch.load(checkpoint, weights_only=True), read_efficientnet_lite(checkpoint)
        assert not model.training
        block = model.get_submodule("blocks.1")
        assert isinstance(block, InvertedResidual)
        for ours, theirs, norm in (
            (model.stem, "_conv_stem", "_bn0"),
            (block.expand, "_blocks.1._expand_conv", "_blocks.1._bn0"),
            (block.depthwise, "_blocks.1._depthwise_conv", "_blocks.1._bn1"),
            (block.project, "_blocks.1._project_conv", "_blocks.1._bn2"),
        ):
            assert ours is not None
            maps = torch.randn(1, ours.in_channels, 9, 9)
            mean, variance, weight, bias = (
                state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
            )
            bare = functional.conv2d(maps, state[f"{theirs}.weight"], groups=ours.groups)
            wanted = functional.batch_norm(bare, mean, variance, weight, bias, eps=1e-3)
            found = functional.conv2d(maps, ours.weight, ours.bias, groups=ours.groups)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)

    def test_a_missing_weight_is_an_error(self, checkpoint: Path) -> None:
        state = published(classifier_config())
        del state["_blocks.2._depthwise_conv.weight"]
        torch.save(state, checkpoint)
        with pytest.raises(RuntimeError, match=r"blocks\.2\.depthwise\.weight"):
            read_efficientnet_lite(checkpoint)

    def test_nano_is_written_with_all_of_its_parts(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = tiny_model()
        monkeypatch.setattr(conversion, "read_gguf", lambda _: (parts.language_model, tiny_tokenizer()))
        monkeypatch.setattr(conversion, "read_dinov2_onnx", lambda _: parts.vision_tower)
        convert_nano([Path("words"), Path("eyes"), checkpoint], IMAGE_SIZE, tmp_path / "nano")
        model = MiniGPTv2ForConditionalGeneration.from_pretrained(tmp_path / "nano")
        assert model.config.classifier_config.grid == 4
        assert model.dtype == torch.bfloat16
        for part in ("vision_tower", "language_model"):
            for name, weight in parts.get_submodule(part).state_dict().items():
                assert torch.equal(model.get_submodule(part).state_dict()[name], weight.bfloat16())
        classifier = read_efficientnet_lite(checkpoint).state_dict()
        for name, weight in model.classifier_tower.state_dict().items():
            assert torch.equal(weight, classifier[name].bfloat16())
