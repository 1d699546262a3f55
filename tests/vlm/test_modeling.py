"""The model with tiny random weights and both kinds of tower."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration, StripMerge
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task, Turn, build_prompt, instruction

from .tiny import IMAGE_SIZE, IMAGE_TOKENS, TOWERS, picture, tiny_config, tiny_model, tiny_processor
from .tiny import vision_config as tiny_vision

Model = MiniGPTv2ForConditionalGeneration

MIXED = [
    (picture(0), [Turn(instruction(Task.CAPTION))]),
    (picture(1), [Turn(instruction(Task.REFER, "the brown dog on the left"))]),
    (None, [Turn("how many people are there?", "two"), Turn("and dogs?")]),
    (picture(2), [Turn(instruction(Task.VQA, "what?"), "a dog"), Turn("where is it?")]),
    (picture(3), [Turn(instruction(Task.IDENTIFY, region=Box(10, 20, 30, 40)))]),
]


@pytest.fixture(scope="module")
def processor() -> MiniGPTv2Processor:
    return tiny_processor()


@pytest.fixture(scope="module", params=TOWERS)
def model(request: pytest.FixtureRequest) -> Model:
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def dinov2() -> Model:
    return tiny_model("dinov2")


def mixed_batch(processor: MiniGPTv2Processor) -> dict[str, torch.Tensor]:
    images, conversations = zip(*MIXED, strict=True)
    return dict(processor(images, conversations))


def answers(model: Model, batch: dict[str, torch.Tensor], **options: bool) -> list[list[int]]:
    """Return the model's greedy answer, without padding."""
    output = model.generate(**batch, do_sample=False, max_new_tokens=12, **options)
    new = output[:, batch["input_ids"].shape[1] :].tolist()
    pad = model.generation_config.pad_token_id
    return [[token for token in row if token != pad] for row in new]


class TestStripMerge:
    def test_a_token_is_a_strip_of_a_row_not_a_square(self) -> None:
        numbered = torch.arange(16.0).reshape(1, 16, 1)
        assert StripMerge(4)(numbered)[0].tolist() == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9, 10, 11],
            [12, 13, 14, 15],
        ]

    def test_the_patches_of_a_strip_are_concatenated(self) -> None:
        patches = torch.randn(2, 8, 5)
        assert torch.equal(StripMerge(4)(patches)[1, 1], patches[1, 4:].flatten())

    def test_patches_that_do_not_divide_are_refused(self) -> None:
        with pytest.raises(ValueError, match="18 patches do not divide into strips of 4"):
            StripMerge(4)(torch.zeros(1, 18, 2))


class TestConfiguration:
    def test_the_default_is_the_released_architecture(self) -> None:
        config = MiniGPTv2Config()
        assert config.vision_config.hidden_size == 1408
        assert config.vision_config.image_size == config.image_size == 448
        assert config.image_tokens == 256

    @pytest.mark.parametrize(("size", "group"), [(57, 4), (42, 4), (56, 3)])
    def test_a_picture_that_does_not_divide_is_refused(self, size: int, group: int) -> None:
        with pytest.raises(ValueError, match=f"{size} x {size} does not divide"):
            MiniGPTv2Config(vision_config=tiny_vision("dinov2"), image_size=size, patches_per_token=group)

    def test_a_tower_with_positions_for_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match="positions for 56 pixels, images have 112"):
            MiniGPTv2Config(vision_config=tiny_vision("blip2"), image_size=112)

    def test_the_placeholder_is_outside_of_the_vocabulary(self) -> None:
        config = tiny_config()
        assert config.image_token_id == config.text_config.vocab_size

    @pytest.mark.parametrize("tower", TOWERS)
    def test_a_saved_configuration_comes_back(self, tower: str, tmp_path: Path) -> None:
        config = tiny_config(tower)
        config.save_pretrained(tmp_path)
        loaded = AutoConfig.from_pretrained(tmp_path)
        assert isinstance(loaded, MiniGPTv2Config)
        assert loaded.vision_config.to_dict() == config.vision_config.to_dict()
        assert loaded.text_config.to_dict() == config.text_config.to_dict()
        assert (loaded.image_size, loaded.image_token_id) == (IMAGE_SIZE, config.image_token_id)


class TestMerging:
    def test_visual_tokens_replace_the_placeholders_in_order(
        self, dinov2: Model, processor: MiniGPTv2Processor
    ) -> None:
        batch = processor([picture(0), None, picture(1)], [[Turn("what?")]] * 3)
        with torch.no_grad():
            embedded = dinov2.embed(batch["input_ids"], batch["pixel_values"])
            features = dinov2.get_image_features(batch["pixel_values"])
            words = dinov2.get_input_embeddings()(batch["input_ids"].clamp(max=319))
        places = batch["input_ids"] == processor.image_token_id
        torch.testing.assert_close(embedded[0][places[0]], features[0])
        torch.testing.assert_close(embedded[2][places[2]], features[1])
        assert torch.equal(embedded[~places], words[~places])

    @pytest.mark.parametrize(
        ("kept", "pictures", "message"),
        [
            pytest.param(-1, 1, "hold 3 image placeholders but the images give 4 visual", id="prompt cut"),
            pytest.param(
                None, 2, "hold 4 image placeholders but the images give 8 visual", id="picture more"
            ),
            pytest.param(None, 0, "hold 4 image placeholders but the images give 0 visual", id="no image"),
        ],
    )
    def test_a_wrong_number_of_placeholders_is_an_error_with_both_numbers(
        self, dinov2: Model, kept: int | None, pictures: int, message: str
    ) -> None:
        ids = torch.tensor([[0] + [dinov2.config.image_token_id] * IMAGE_TOKENS])[:, :kept]
        pixels = torch.zeros(pictures, 3, IMAGE_SIZE, IMAGE_SIZE) if pictures else None
        with pytest.raises(ValueError, match=message):
            dinov2(input_ids=ids, pixel_values=pixels)

    def test_exactly_one_kind_of_input_is_required(self, dinov2: Model) -> None:
        with pytest.raises(ValueError, match="exactly one of input_ids and inputs_embeds"):
            dinov2()

    def test_another_image_gives_another_prediction(
        self, model: Model, processor: MiniGPTv2Processor
    ) -> None:
        with torch.no_grad():
            first, second = (
                model(**processor([picture(seed)], [[Turn("what?")]])).logits[0, -1] for seed in (0, 1)
            )
        assert (first - second).abs().max() > 1e-2


class TestSaving:
    def test_a_saved_model_gives_identical_logits(
        self, model: Model, processor: MiniGPTv2Processor, tmp_path: Path
    ) -> None:
        model.save_pretrained(tmp_path)
        batch = processor([picture(0)], [[Turn("what is it?")]])
        loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
        assert isinstance(loaded, Model)
        with torch.no_grad():
            assert torch.equal(loaded(**batch).logits, model(**batch).logits)
        assert loaded.generation_config.eos_token_id == 1


class TestGenerating:
    def test_the_cache_changes_nothing(self, model: Model, processor: MiniGPTv2Processor) -> None:
        batch = mixed_batch(processor)
        assert answers(model, batch, use_cache=True) == answers(model, batch, use_cache=False)

    def test_a_mixed_batch_answers_like_one_by_one(self, model: Model, processor: MiniGPTv2Processor) -> None:
        together = answers(model, mixed_batch(processor))
        alone = [answers(model, processor([image], [turns]))[0] for image, turns in MIXED]
        assert together == alone
        assert len({tuple(answer) for answer in alone}) > 1

    def test_padding_does_not_touch_the_logits(self, model: Model, processor: MiniGPTv2Processor) -> None:
        together = mixed_batch(processor)
        with torch.no_grad():
            padded = model(
                **together, position_ids=(together["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            ).logits[:, -1]
            alone = [model(**processor([image], [turns])).logits[0, -1] for image, turns in MIXED]
        torch.testing.assert_close(padded, torch.stack(alone), rtol=1e-4, atol=1e-4)

    def test_beams_share_their_image(self, dinov2: Model, processor: MiniGPTv2Processor) -> None:
        batch = processor([picture(0), None], [[Turn("what is it?")], [Turn("hello")]])
        together = dinov2.generate(**batch, num_beams=3, do_sample=False, max_new_tokens=4)
        first = dinov2.generate(
            **processor([picture(0)], [[Turn("what is it?")]]), num_beams=3, do_sample=False, max_new_tokens=4
        )
        assert torch.equal(together[:1], first)


@pytest.fixture(scope="module")
def batch(processor: MiniGPTv2Processor) -> dict[str, torch.Tensor]:
    encoded = processor.encode(build_prompt([Turn("what?", "a dog"), Turn("where?", "left")], image=True))
    return {
        "input_ids": torch.tensor([encoded.input_ids]),
        "labels": torch.tensor([encoded.labels]),
        "pixel_values": processor.pixels([picture(0)]),
    }


class TestLoss:
    def test_it_is_the_mean_over_the_tokens_of_the_answers(
        self, dinov2: Model, batch: dict[str, torch.Tensor]
    ) -> None:
        with torch.no_grad():
            output = dinov2(**batch)
        chances = output.logits.log_softmax(-1)[0]
        places = (batch["labels"][0] != -100).nonzero()[:, 0]
        by_hand = torch.stack([-chances[place - 1, batch["labels"][0, place]] for place in places]).mean()
        torch.testing.assert_close(output.loss, by_hand)

    @pytest.mark.parametrize("divisor", [None, 7])
    def test_logits_at_the_answers_only_give_the_same_loss(
        self, dinov2: Model, batch: dict[str, torch.Tensor], divisor: int | None
    ) -> None:
        with torch.no_grad():
            full = dinov2(**batch, num_items_in_batch=divisor)
            short = dinov2(**batch, num_items_in_batch=divisor, answers_only=True)
        torch.testing.assert_close(short.loss, full.loss)
        assert short.logits.shape == (int((batch["labels"] != -100).sum()), 320)

    def test_answers_only_without_labels_is_refused(self, dinov2: Model) -> None:
        with pytest.raises(ValueError, match="answers_only needs labels"):
            dinov2(input_ids=torch.tensor([[0]]), answers_only=True)

    def test_only_the_requested_last_logits_are_computed(
        self, dinov2: Model, batch: dict[str, torch.Tensor]
    ) -> None:
        asked = {name: batch[name] for name in ("input_ids", "pixel_values")}
        with torch.no_grad():
            full, last = dinov2(**asked).logits, dinov2(**asked, logits_to_keep=1).logits
        torch.testing.assert_close(last, full[:, -1:])
