"""The processor: images to pixels, conversations to padded tokens, all counts checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from assistant.vlm.architecture.processing import MiniGPTv2ImageProcessor, MiniGPTv2Processor
from assistant.vlm.tasks import Turn

from .tiny import IMAGE_SIZE, IMAGE_TOKENS, picture, tiny_config, tiny_processor, tiny_tokenizer


@pytest.fixture(scope="module")
def processor() -> MiniGPTv2Processor:
    return tiny_processor()


class TestPixels:
    @pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
    def test_a_picture_of_any_mode_is_taken_as_rgb(self, processor: MiniGPTv2Processor, mode: str) -> None:
        image = picture(0).convert(mode)
        pixels = processor.pixels([image])
        assert pixels.shape == (1, 3, IMAGE_SIZE, IMAGE_SIZE)
        assert torch.equal(pixels, processor.pixels([image.convert("RGB")]))

    def test_a_wide_picture_is_squeezed_whole_into_the_square(self, processor: MiniGPTv2Processor) -> None:
        image = Image.new("RGB", (1000, 10), "black")
        image.paste("white", (0, 0, 250, 10))
        bright = processor.pixels([image])[0, 0] > 0
        assert bright[:, :13].all()
        assert not bright[:, 15:].any()

    def test_pictures_of_several_sizes_become_one_batch(self, processor: MiniGPTv2Processor) -> None:
        assert processor.pixels([picture(0, 10, 90), picture(1, 300, 20)]).shape[0] == 2


class TestBatches:
    def test_rows_are_padded_on_the_left(self, processor: MiniGPTv2Processor) -> None:
        batch = processor([picture(0), None], [[Turn("what is it?")], [Turn("hello")]])
        ids, mask = batch["input_ids"], batch["attention_mask"]
        short = int(mask[1].sum())
        assert ids.shape == mask.shape
        assert mask[0].all()
        assert mask[1].tolist() == [0] * (ids.shape[1] - short) + [1] * short
        assert (ids[1, :-short] == processor.tokenizer.pad_token_id).all()
        assert ids[1, -short] == processor.tokenizer.bos_token_id
        assert batch["pixel_values"].shape[0] == 1

    def test_a_lone_surrogate_becomes_a_question_mark(self, processor: MiniGPTv2Processor) -> None:
        half, mark = (processor([None], [[Turn(f"hello {text}")]])["input_ids"] for text in ("\udfff", "?"))
        assert torch.equal(half, mark)

    def test_a_batch_without_pictures_has_no_pixels(self, processor: MiniGPTv2Processor) -> None:
        assert "pixel_values" not in processor([None], [[Turn("hello")]])

    def test_each_picture_takes_its_placeholders(self, processor: MiniGPTv2Processor) -> None:
        ids = processor([picture(0), None, picture(1)], [[Turn("what?")]] * 3)["input_ids"]
        assert (ids == processor.image_token_id).sum(dim=1).tolist() == [IMAGE_TOKENS, 0, IMAGE_TOKENS]

    def test_fewer_pictures_than_conversations_are_refused(self, processor: MiniGPTv2Processor) -> None:
        with pytest.raises(ValueError, match="1 images for 2 conversations"):
            processor([None], [[Turn("a")], [Turn("b")]])

    def test_a_prompt_over_the_limit_is_refused_not_cut(self, processor: MiniGPTv2Processor) -> None:
        length = processor([picture(0)], [[Turn("what is it?")]])["input_ids"].shape[1]
        processor([picture(0)], [[Turn("what is it?")]], max_length=length)
        with pytest.raises(ValueError, match=f"{length} tokens is over the limit of {length - 1}"):
            processor([picture(0)], [[Turn("what is it?")]], max_length=length - 1)

    def test_a_placeholder_in_the_vocabulary_is_an_error(self) -> None:
        tokenizer = tiny_tokenizer()
        clash = MiniGPTv2Processor(
            MiniGPTv2ImageProcessor(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}),
            tokenizer,
            image_tokens=IMAGE_TOKENS,
            image_token_id=tokenizer.convert_tokens_to_ids("Ġdog"),
        )
        with pytest.raises(ValueError, match="5 image placeholders in the prompts, 4 wanted for 1 images"):
            clash([picture(0)], [[Turn("a dog")]])

    def test_an_answer_is_decoded_without_special_tokens(self, processor: MiniGPTv2Processor) -> None:
        ids = processor.tokenizer(" a dog", add_special_tokens=False)["input_ids"]
        assert processor.decode_answer([*ids, 1, 2, 2]) == "a dog"


class TestSaving:
    def test_a_saved_processor_builds_the_same_batch(
        self, processor: MiniGPTv2Processor, tmp_path: Path
    ) -> None:
        processor.save_pretrained(tmp_path)
        tiny_config().save_pretrained(tmp_path)
        asked = ([picture(0), None], [[Turn("is <s> a </s> tag?")], [Turn("hello")]])
        for loaded in (MiniGPTv2Processor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
            assert isinstance(loaded, MiniGPTv2Processor)
            batch, wanted = loaded(*asked), processor(*asked)
            assert batch.keys() == wanted.keys()
            assert all(torch.equal(batch[name], wanted[name]) for name in wanted)
