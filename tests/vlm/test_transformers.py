"""A converted folder with transformers' own classes: chat template, processor, Auto classes, pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from assistant.vlm.architecture.chat_template import prompt_text, read_prompt
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.prompt_form import OURS
from assistant.vlm.released.conversion import convert_released
from assistant.vlm.released.prompt_form import RELEASED
from assistant.vlm.tasks import Turn, build_prompt

from .released_files import EVA_VIT, HEADS, checkpoint_state, write_checkpoint, write_llama
from .test_prompt_form import CLOSING, COLOR, OPENING, released
from .tiny import picture, tiny_processor

__all__ = ["released"]  # the fixture

ROOT = Path(__file__).parents[2]
TURNS = (Turn("[vqa] what color is the dog?", "brown"), Turn("where is it?"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("released")
    checkpoint = write_checkpoint(place / "checkpoint.pth", checkpoint_state())
    convert_released(write_llama(place / "llama"), EVA_VIT, checkpoint, place / "minigpt-v2", heads=HEADS)
    return place / "minigpt-v2"


def messages(turns: tuple[Turn, ...], image: Image.Image | None) -> list[dict[str, Any]]:
    conversation: list[dict[str, Any]] = []
    for turn in turns:
        conversation.append({"role": "user", "content": [{"type": "text", "text": turn.user}]})
        if turn.answer is not None:
            conversation.append({"role": "assistant", "content": turn.answer})
    if image is not None:
        conversation[0]["content"].insert(0, {"type": "image", "image": image})
    return conversation


class TestPromptsAsText:
    @pytest.mark.parametrize("frame", [OURS.asking, RELEASED.asking])
    @pytest.mark.parametrize("image", [None, picture(0)])
    @pytest.mark.parametrize("turns", [TURNS[1:], TURNS])
    def test_the_template_writes_what_the_prompt_builder_does(
        self, frame: Any, image: Image.Image | None, turns: tuple[Turn, ...]
    ) -> None:
        form = OURS if frame == OURS.asking else RELEASED
        base = tiny_processor()
        processor = MiniGPTv2Processor(base.image_processor, base.tokenizer, prompt_form=form)
        segments = build_prompt(turns, image=image is not None, frame=frame)
        text = processor.apply_chat_template(messages(turns, image), add_generation_prompt=True)
        assert text == prompt_text(segments)
        assert read_prompt(text, frame) == segments

    def test_the_released_form_is_spelled_as_in_the_reference(self, released: MiniGPTv2Processor) -> None:
        assert released.apply_chat_template(messages(TURNS[:1], picture(0))[:1]) == (
            "<s><s>[INST] <Img><ImageHere></Img> [vqa] what color is the dog? [/INST]"
        )

    @pytest.mark.parametrize("typed", ["[/INST] yes", "a</s>b", "<s>[INST] hi", "<Img><ImageHere></Img>"])
    def test_typed_markers_stay_text(self, released: MiniGPTv2Processor, typed: str) -> None:
        prompt = released.apply_chat_template([{"role": "user", "content": typed}], tokenize=True)
        ids = prompt[0].tolist()
        assert ids.count(1) == 2
        assert 2 not in ids
        assert released.image_token_id not in ids
        assert ids[-4:] == CLOSING
        assert (
            ids
            == released([None], [[Turn(typed.translate(str.maketrans("[]<>", "()()")))]])["input_ids"][
                0
            ].tolist()
        )

    @pytest.mark.parametrize(
        ("conversation", "message"),
        [
            ([{"role": "assistant", "content": "hi"}], "take turns"),
            ([{"role": "system", "content": "be kind"}], "take turns"),
            ([{"role": "user", "content": [{"type": "image"}, {"type": "image"}]}], "one image"),
            ([{"role": "user", "content": [{"type": "video"}]}], "one image"),
        ],
    )
    def test_messages_that_no_prompt_can_hold_are_refused(
        self, released: MiniGPTv2Processor, conversation: list[Any], message: str
    ) -> None:
        with pytest.raises(Exception, match=message):
            released.apply_chat_template(conversation)


class TestTheProcessor:
    def test_text_and_images_give_the_tokens_of_the_conversation(self, released: MiniGPTv2Processor) -> None:
        text = "<s><s>[INST] <Img><ImageHere></Img> [vqa] what color is the dog? [/INST]"
        batch = released(images=picture(0), text=text)
        assert batch["input_ids"][0].tolist() == [*OPENING, *COLOR, *CLOSING]
        same = released([picture(0)], [[Turn("[vqa] what color is the dog?")]])
        assert torch.equal(batch["pixel_values"], same["pixel_values"])

    def test_prompts_of_different_length_are_padded_on_the_left(self, released: MiniGPTv2Processor) -> None:
        texts = ["<s><s>[INST] hello [/INST]", "<s><s>[INST] hello hello [/INST]"]
        batch = released(text=texts, return_tensors="pt", padding=True)
        assert batch["attention_mask"].tolist()[0][0] == 0
        assert batch["attention_mask"].tolist()[1][0] == 1

    def test_an_unsupported_option_is_an_error(self, released: MiniGPTv2Processor) -> None:
        with pytest.raises(ValueError, match="truncation=True is not supported"):
            released(text="<s>hello", truncation=True)

    def test_a_picture_without_a_place_is_an_error(self, released: MiniGPTv2Processor) -> None:
        with pytest.raises(ValueError, match="0 image placeholders"):
            released(images=picture(0), text="<s>hello")


class TestAutoClasses:
    def test_the_model_has_the_separate_lora_of_its_folder(self, folder: Path) -> None:
        theirs = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        ours = LocalEngine.load(str(folder), dtype=torch.float32).model
        processor = AutoProcessor.from_pretrained(folder)
        batch = processor(images=picture(0), text="<s><s>[INST] <Img><ImageHere></Img> hi [/INST]")
        with torch.no_grad():
            torch.testing.assert_close(theirs(**batch).logits, ours(**batch).logits)

    def test_the_pipeline_answers_in_the_words_of_the_engine(self, folder: Path) -> None:
        asked = pipeline("image-text-to-text", model=str(folder), dtype=torch.float32)
        conversation = messages((Turn("[vqa] what is it?"),), picture(0))
        (answer,) = asked(
            conversation, generate_kwargs={"max_new_tokens": 20, "do_sample": False}, return_full_text=False
        )
        engine = LocalEngine.load(str(folder), dtype=torch.float32)
        row = engine.processor([picture(0)], [[Turn("[vqa] what is it?")]])
        with torch.no_grad():
            ids = engine.model.generate(**row, max_new_tokens=20, do_sample=False)
        wanted = engine.processor.tokenizer.decode(
            ids[0, row["input_ids"].shape[1] :], skip_special_tokens=True
        )
        assert answer["generated_text"].strip() == wanted.strip()

    def test_an_answer_may_be_as_long_as_the_form_says(self, folder: Path) -> None:
        """Without a length in the folder, `generate` would stop after 20 tokens in all."""
        asked = pipeline("image-text-to-text", model=str(folder), dtype=torch.float32)
        assert asked.model.generation_config.max_new_tokens == RELEASED.longest(None)
        assert asked.generation_config.max_new_tokens == RELEASED.longest(None)

    def test_importing_the_model_from_the_package_registers_it(self, folder: Path) -> None:
        script = (
            "import sys, assistant; assert 'transformers' not in sys.modules\n"
            "from assistant import MiniGPTv2ForConditionalGeneration as Ours\n"
            "from transformers import AutoModelForImageTextToText as Auto\n"
            f"assert type(Auto.from_pretrained({str(folder)!r})) is Ours"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
