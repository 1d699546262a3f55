"""The linear layer is trained in a basis in which the frozen tower's features are alike in size.

A few directions of the features are a thousand times stronger than most (DINOv2: the largest eigenvalue of
their second moment is 390 times the mean, the median a sixteenth of it), so that Adam's steps in the plain
basis serve those few. Training `weight = coordinates @ basis`, with the basis a damped inverse square root of
the second moment, gives every direction its say; what is saved is the plain weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from peft import PeftModel
from PIL import Image
from torch import nn
from torch.nn.utils import parametrize

from ..processing import MiniGPTv2Processor

# Pictures that the basis is found from; nano has 64 visual tokens a picture, of 1536 numbers each.
IMAGES = 320
BATCH = 16
# Directions weaker than this share of the mean eigenvalue are mostly noise and are not blown up to size one.
DAMPING = 0.03


class Basis(nn.Module):
    """Turns coordinates into the weight of a linear layer; `basis` is square, symmetric and regular.

    Checkpoints hold it: coordinates mean nothing in the basis of other pictures, and those may have changed.
    """

    basis: torch.Tensor

    def __init__(self, basis: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("basis", basis)

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the weight (outputs, inputs) of coordinates of the same shape, in their own precision."""
        with torch.autocast(coordinates.device.type, enabled=False):
            return coordinates @ self.basis

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the coordinates that give a weight."""
        exact: torch.Tensor = torch.linalg.solve(self.basis.double(), weight.double(), left=False)
        return exact.to(weight.dtype)


def whitening(features: torch.Tensor, damping: float = DAMPING) -> Basis:
    """Return the basis for features (samples, inputs).

    Raises:
        ValueError: there are no features.
    """
    if not len(features):
        raise ValueError("no features to find a basis for: give some pictures")
    exact = features.double()
    values, vectors = torch.linalg.eigh(exact.T @ exact / len(exact))
    scale = (values.clamp(min=0) + damping * values.mean()).sqrt()
    return Basis(((vectors / scale) @ vectors.T).float())


def train_in_basis(basis: Basis, layer: nn.Linear) -> None:
    """Make a linear layer learn coordinates in a basis; what it computes stays the same."""
    parametrize.register_parametrization(layer, "weight", basis.to(layer.weight.device))


def fold(layer: nn.Linear) -> None:
    """Give a linear layer its plain weight back."""
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def whiten(model: PeftModel, processor: MiniGPTv2Processor, pictures: Iterable[Image.Image]) -> None:
    """Have the model's linear layer learn in the whitened basis of some pictures' features."""
    base = model.get_base_model()
    features: list[torch.Tensor] = []
    with torch.inference_mode():
        for some in batched(pictures, BATCH):
            pixels = processor.pixels(some).to(base.vision_tower.device, base.vision_tower.dtype)
            features.append(base.get_patches(pixels).flatten(0, 1).float())
    train_in_basis(whitening(torch.cat(features) if features else torch.empty(0)), trained_projection(model))


def batched(pictures: Iterable[Image.Image], size: int) -> Iterator[list[Image.Image]]:
    """Yield lists of `size` pictures, the last one shorter where they do not divide."""
    remaining = iter(pictures)
    while some := list(islice(remaining, size)):
        yield some


def trained_projection(model: PeftModel) -> nn.Linear:
    """Return the copy of the linear layer that PEFT trains."""
    layer: nn.Linear = model.get_base_model().vision_projection.modules_to_save["default"]
    return layer


__all__ = ["Basis", "fold", "train_in_basis", "trained_projection", "whiten", "whitening"]
