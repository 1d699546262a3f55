"""The parts of the batch: packed layers, grouped attention, slots and threads, against plain PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from assistant.vlm.answers import Request
from assistant.vlm.engine.batching import Row
from assistant.vlm.engine.inference import PackedLinear, _grouped_attention, packs, prepare
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.slots import Slots
from assistant.vlm.engine.threads import own_thread
from assistant.vlm.tasks import Task

from .tiny import IMAGE_SIZE, picture, tiny_model, tiny_processor

CONFIG = LlamaConfig(
    hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, vocab_size=8
)


@pytest.mark.skipif(not packs(), reason="this machine packs no layers")
class TestPackedLayers:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("shape", [(1, 1, 48), (3, 1, 48), (1, 7, 48), (2, 48)])
    @torch.inference_mode()
    def test_are_the_same_layer(self, shape: tuple[int, ...], bias: bool) -> None:
        linear, inputs = nn.Linear(48, 20, bias=bias), torch.randn(shape)
        torch.testing.assert_close(PackedLinear(linear)(inputs), linear(inputs), rtol=1e-5, atol=1e-5)

    @torch.inference_mode()
    def test_a_prepared_model_says_the_same(self) -> None:
        ids = torch.tensor([[0, 5, 9, 30, 7]])
        plain, prepared = tiny_model(), tiny_model()
        prepare(prepared)
        assert not any(type(module) is nn.Linear for module in prepared.modules())
        expected = plain(input_ids=ids).logits
        torch.testing.assert_close(prepared(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_an_images_features_do_not_depend_on_the_batch() -> None:
    plain, prepared = tiny_model().eval(), tiny_model().eval()
    prepare(prepared)
    images = torch.randn(3, 3, IMAGE_SIZE, IMAGE_SIZE)
    found = prepared.get_image_features(images)
    torch.testing.assert_close(found, plain.get_image_features(images), rtol=1e-4, atol=1e-4)
    assert torch.equal(found[1:2], prepared.get_image_features(images[1:2]))


@pytest.mark.parametrize("length", [1, 5])
def test_grouped_attention_is_attention_with_repeated_keys(length: int) -> None:
    module: Any = nn.Module()
    module.num_key_value_groups = 3
    query = torch.randn(2, 6, length, 8)
    key, value = torch.randn(2, 2, 16, 8), torch.randn(2, 2, 16, 8)
    mask = torch.rand(2, 1, length, 16) < 0.5
    mask[..., 0] = True
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
    found, _ = _grouped_attention(module, query, key, value, mask, scaling=0.3)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class TestSlots:
    @pytest.fixture
    def slots(self) -> Slots:
        return Slots(CONFIG, torch.device("cpu"), torch.float32)

    def written(self, slots: Slots, first: int, starts: Sequence[int], steps: int) -> torch.Tensor:
        """Write random keys, and their negatives as values, to both layers; return the keys."""
        slots.aim(first, starts, steps)
        keys = torch.randn(len(starts), 2, steps, 8)
        for layer in range(2):
            slots.update(keys, -keys, layer)
        return keys

    def test_hold_what_was_written_as_they_grow(self, slots: Slots) -> None:
        first = self.written(slots, 0, [0], 50)
        second = self.written(slots, 1, [0], 90)
        later = self.written(slots, 0, [50, 90], 3)
        for slot, keys in enumerate(
            (torch.cat([first[0], later[0]], 1), torch.cat([second[0], later[1]], 1))
        ):
            held = slots.read(slot, keys.shape[1])
            assert torch.equal(held[:, 0], keys.expand(2, -1, -1, -1))
            assert torch.equal(held[:, 1], -keys.expand(2, -1, -1, -1))

    def test_take_a_prefix_and_move(self, slots: Slots) -> None:
        keys = self.written(slots, 0, [0], 20)
        slots.write(2, slots.read(0, 12))
        slots.move(2, 1)
        assert torch.equal(slots.read(1, 12)[0, 0], keys[0, :, :12])

    def test_show_a_token_itself_and_those_before(self, slots: Slots) -> None:
        positions, mask = slots.aim(0, [3, 17], 2)
        assert positions.tolist() == [[3, 4], [17, 18]]
        assert mask.sum(-1)[:, 0].tolist() == [[4, 5], [18, 19]]
        assert mask.shape[-1] == 32  # a multiple of 16, which are summed alike


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    engine = LocalEngine("tiny", tiny_model(), tiny_processor())
    requests = [
        Request(task, argument, image=picture(seed))
        for seed, (task, argument) in enumerate(
            [(Task.REFER, "the dog"), (Task.VQA, "how many dogs are there?"), (Task.CAPTION, "")] * 3
        )
    ]

    def rows(*groups: Sequence[Request]) -> list[Row]:
        """Decode each group as a batch, by an engine that has seen nothing yet."""
        found = []
        for group in groups:
            fresh = LocalEngine("tiny", engine.model, engine.processor)
            batch = [fresh._row(request) for request in group]
            for _ in fresh._decoder.decode(batch):
                pass
            found += batch
        return found

    alone = rows(*([request] for request in requests))
    for others in (rows(requests), rows(requests[:2], requests[2:])):
        assert [row.tokens for row in others] == [row.tokens for row in alone]
        for row, same in zip(others, alone, strict=True):
            assert row.probabilities == pytest.approx(same.probabilities, abs=1e-5)


def test_a_thread_of_its_own_ends_with_the_work_and_passes_on_errors() -> None:
    thread = own_thread(threading.current_thread)()
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
    with pytest.raises(ValueError, match="invalid literal"):
        own_thread(int)("one")
