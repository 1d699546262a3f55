"""EfficientNet-Lite, an ImageNet classifier, as a frozen vision tower that gives feature maps.

Tan and Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as TensorFlow publishes it
("Lite"). Batch normalisation is folded into the convolutions, so the module has no other layers.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

# The network was trained on (pixel - 127) / 128, with pixels of 0..255.
PIXEL_MEAN = 127 / 255
PIXEL_STD = 128 / 255


class EfficientNetLiteConfig(PreTrainedConfig):
    """The blocks in order, and which feature maps to return; the defaults are EfficientNet-Lite2.

    A stage is `(kernel, stride, expansion, channels, repeats)`. `outputs` are the indices of the blocks whose
    maps are returned, resized to `grid` x `grid` cells. `image_size` is the side that images are resized to;
    `image_mean` and `image_std` are the input's normalisation, by channel.
    """

    model_type = "efficientnet_lite"

    stem_channels: int = 32
    stages: tuple[tuple[int, int, int, int, int], ...] = (
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 3),
        (5, 2, 6, 48, 3),
        (3, 2, 6, 88, 4),
        (5, 1, 6, 120, 4),
        (5, 2, 6, 208, 5),
        (3, 1, 6, 352, 1),
    )
    outputs: tuple[int, ...] = (14, 20)
    image_size: int = 256
    grid: int = 16
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def hidden_size(self) -> int:
        """The number of features per cell, over all maps."""
        channels = [stage[3] for stage in self.stages for _ in range(stage[4])]
        return sum(channels[block] for block in self.outputs)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's `SAME` padding: uneven padding puts more on the right and bottom."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Turn maps of height by width into ones of ceil(height / stride) by ceil(width / stride)."""
        if self.kernel_size[0] > 1:
            down, across = (
                max((-(-size // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
                for size in maps.shape[-2:]
            )
            maps = functional.pad(maps, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(maps)


class InvertedResidual(nn.Module):
    """Expand, convolve depthwise, project; with a skip connection where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = SameConv2d(inputs, width, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(width, width, kernel, stride, groups=width)
        self.project = SameConv2d(width, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Turn (batch, inputs, height, width) into (batch, outputs, height / stride, width / stride)."""
        hidden = maps if self.expand is None else functional.relu6(self.expand(maps), inplace=True)
        hidden = functional.relu6(self.depthwise(hidden), inplace=True)
        projected: torch.Tensor = self.project(hidden)
        return maps + projected if self.residual else projected


class EfficientNetLite(PreTrainedModel):
    """Returns `last_hidden_state` (images, grid * grid, hidden size), cells in raster order."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    _no_split_modules: ClassVar[list[str]] = ["InvertedResidual"]

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.stem = SameConv2d(3, config.stem_channels, 3, 2)
        self.blocks = nn.ModuleList()
        inputs = config.stem_channels
        for kernel, stride, expansion, outputs, repeats in config.stages:
            for index in range(repeats):
                block = InvertedResidual(inputs, outputs, kernel, 1 if index else stride, expansion)
                self.blocks.append(block)
                inputs = outputs
        self.post_init()

    def forward(self, pixel_values: torch.Tensor) -> BaseModelOutput:
        """Encode images (images, 3, side, side), normalised by `image_mean` and `image_std`."""
        config = self.config
        mean, std = (
            pixel_values.new_tensor(it)[:, None, None] for it in (config.image_mean, config.image_std)
        )
        pixels = (pixel_values * std + mean - PIXEL_MEAN) / PIXEL_STD
        pixels = _resized(pixels, config.image_size).contiguous(memory_format=torch.channels_last)
        hidden = functional.relu6(self.stem(pixels), inplace=True)
        maps = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden)
            if index in config.outputs:
                maps.append(_resized(hidden, config.grid))
        return BaseModelOutput(torch.cat(maps, dim=1).flatten(2).transpose(1, 2))


def _resized(maps: torch.Tensor, side: int) -> torch.Tensor:
    if maps.shape[-2:] == (side, side):
        return maps
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


def fold_batch_norm(
    weight: torch.Tensor, norm: dict[str, torch.Tensor], epsilon: float = 1e-3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a convolution's weight and bias with the following batch normalisation folded in.

    `norm` holds `weight`, `bias`, `running_mean` and `running_var` (channels out).
    """
    scale = norm["weight"] / (norm["running_var"] + epsilon).sqrt()
    return weight * scale[:, None, None, None], norm["bias"] - norm["running_mean"] * scale


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
