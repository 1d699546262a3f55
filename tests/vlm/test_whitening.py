"""Training the linear layer in a whitened basis."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter
from assistant.vlm.training.whitening import batched, restore_weight, train_in_basis, whiten, whitening

from .tiny import IMAGE_SIZE, TOWERS, picture, tiny_model, tiny_processor


@pytest.fixture
def features() -> torch.Tensor:
    """Features of very different scales, off centre."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2000, 8, generator=generator) * torch.logspace(0, 2, 8) + torch.arange(8)


class TestWhitening:
    def test_features_have_the_same_strength_in_every_direction_of_the_basis(
        self, features: torch.Tensor
    ) -> None:
        white = (features @ whitening(features, damping=1e-9).basis).double()
        torch.testing.assert_close(
            white.T @ white / len(white), torch.eye(8, dtype=torch.float64), atol=0.01, rtol=0
        )

    def test_weak_directions_are_damped(self, features: torch.Tensor) -> None:
        damped, plain = whitening(features), whitening(features, damping=1e-9)
        assert damped.basis.norm() < plain.basis.norm() / 2

    def test_no_features_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="no features"):
            whitening(torch.empty(0, 8))

    def test_a_layer_computes_the_same_in_the_basis_and_restored(self, features: torch.Tensor) -> None:
        layer = nn.Linear(8, 3)
        before = layer(features)
        train_in_basis(whitening(features), layer)
        torch.testing.assert_close(layer(features), before, atol=1e-3, rtol=1e-4)
        restore_weight(layer)
        torch.testing.assert_close(layer(features), before, atol=1e-3, rtol=1e-4)
        assert set(layer.state_dict()) == {"weight", "bias"}

    def test_it_learns_weak_directions_faster_than_the_plain_layer(self, features: torch.Tensor) -> None:
        # Rotated, so that no direction is an axis: along the axes Adam adapts its step size.
        turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))
        turned, wanted = features @ turn, features[:, :1]  # the weakest direction

        def error(whitened: bool) -> float:
            layer = nn.Linear(8, 1)
            nn.init.zeros_(layer.weight)
            if whitened:
                train_in_basis(whitening(turned, damping=1e-6), layer)
            optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
            for _ in range(200):
                optimizer.zero_grad()
                (layer(turned) - wanted).pow(2).mean().backward()
                optimizer.step()
            return float((layer(turned) - wanted).pow(2).mean().detach())

        assert error(whitened=True) < error(whitened=False) / 2


class TestModel:
    @pytest.mark.parametrize("towers", TOWERS)
    def test_a_whitened_model_gives_the_same_logits(self, towers: str) -> None:
        model = add_adapter(tiny_model(towers), AdapterConfig(rank=2))
        pixels = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
        with torch.no_grad():
            before = model.get_base_model().get_image_features(pixels)
            whiten(model, tiny_processor(), (picture(seed) for seed in range(20)))
            after = model.get_base_model().get_image_features(pixels)
        torch.testing.assert_close(after, before, atol=1e-2, rtol=1e-2)

    def test_images_are_encoded_in_batches(self) -> None:
        pictures = [picture(seed) for seed in range(5)]
        some = list(batched(iter(pictures), 2))
        assert [len(them) for them in some] == [2, 2, 1]
        assert [it for them in some for it in them] == pictures
