"""Train the linear layer in a basis that whitens the features of the frozen tower.

A few directions of the features are a thousand times stronger than most (DINOv2: the largest eigenvalue of
their second moment is 390 times the mean, the median a sixteenth of it), and dominate Adam's steps in the
plain basis. Training `weight = coordinates @ basis`, with a damped inverse square root of the second moment
as the basis, balances the directions; the saved adapter has the plain weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from PIL import Image
from torch import nn
from torch.nn.utils import parametrize

from ..architecture.processing import MiniGPTv2Processor
from ..data.mixture import InstructionMixture
from .adapted_model import AdaptedModel

# Images that the basis is computed from; nano has 144 visual tokens per image, of 1536 features each.
IMAGES = 320
BATCH = 16
# Damping as a share of the mean eigenvalue: weaker directions are mostly noise and are not scaled up fully.
DAMPING = 0.03


class Basis(nn.Module):
    """Turns coordinates into the weight of a linear layer; `basis` is square, symmetric and invertible.

    It is a buffer, saved in checkpoints: recomputed from changed images, it would not fit the coordinates.
    """

    basis: torch.Tensor

    def __init__(self, basis: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("basis", basis)

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the weight (outputs, inputs) for coordinates of that shape, in their precision."""
        with torch.autocast(coordinates.device.type, enabled=False):
            return coordinates @ self.basis

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the coordinates of a weight."""
        exact: torch.Tensor = torch.linalg.solve(self.basis.double(), weight.double(), left=False)
        return exact.to(weight.dtype)


def whitening(features: torch.Tensor, damping: float = DAMPING) -> Basis:
    """Return the whitening basis of features (samples, inputs).

    Raises:
        ValueError: there are no features.
    """
    if not len(features):
        raise ValueError("no features to compute a basis from: give some images")
    exact = features.double()
    values, vectors = torch.linalg.eigh(exact.T @ exact / len(exact))
    scale = (values.clamp(min=0) + damping * values.mean()).sqrt()
    return Basis(((vectors / scale) @ vectors.T).float())


def sample_images(data: InstructionMixture) -> Iterator[Image.Image]:
    """Yield the images of the first examples, to compute the basis from."""
    examples = (data[index] for index in range(min(IMAGES, len(data))))
    return (example.image for example in examples if example.image is not None)


def train_in_basis(basis: Basis, layer: nn.Linear) -> None:
    """Reparametrise a linear layer to coordinates in a basis; its function stays the same."""
    parametrize.register_parametrization(layer, "weight", basis.to(layer.weight.device))


def restore_weight(layer: nn.Linear) -> None:
    """Restore the plain weight of a linear layer."""
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def whiten(model: AdaptedModel, processor: MiniGPTv2Processor, images: Iterable[Image.Image]) -> None:
    """Train the model's linear layer in the whitening basis of the features of some images."""
    base = model.get_base_model()
    features: list[torch.Tensor] = []
    device, dtype = base.vision_tower.device, base.vision_tower.dtype
    # LoRA on the tower is in float32.
    mixed = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
    with torch.inference_mode(), mixed:
        for some in batched(images, BATCH):
            pixels = processor.pixels(some).to(device, dtype)
            features.append(base.get_patches(pixels).flatten(0, 1).float())
    train_in_basis(whitening(torch.cat(features) if features else torch.empty(0)), trained_projection(model))


def batched(images: Iterable[Image.Image], size: int) -> Iterator[list[Image.Image]]:
    """Yield lists of `size` images; the last one may be shorter."""
    remaining = iter(images)
    while some := list(islice(remaining, size)):
        yield some


def trained_projection(model: AdaptedModel) -> nn.Linear:
    """Return PEFT's trained copy of the linear layer."""
    layer = model.get_base_model().get_submodule("vision_projection.modules_to_save.default")
    assert isinstance(layer, nn.Linear)
    return layer
