"""The prompt form is stored in a model's folder; the released one is compared with LLaMA-2's ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from assistant.vlm.answers import Request
from assistant.vlm.architecture.processing import IGNORED, MiniGPTv2ImageProcessor, MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator
from assistant.vlm.data.instructions import Sample
from assistant.vlm.data.mixture import Example
from assistant.vlm.errors import WeightsError
from assistant.vlm.grounding import Box
from assistant.vlm.prompt_form import OURS, PromptForm, read_prompt_form
from assistant.vlm.released.prompt_form import RELEASED
from assistant.vlm.tasks import Frame, Task, Turn

from .tiny import IMAGE_SIZE, IMAGE_TOKENS, picture, tiny_processor

IMAGE = 32000
REGION = Box(10, 20, 30, 40)
# `[INST] <Img>` with its two BOS, the picture, `</Img>`; then each task's words, then ` [/INST]`.
OPENING = [1, 1, 518, 25580, 29962, 529, 25518, 29958, *[IMAGE] * IMAGE_TOKENS, 1533, 25518, 29958]
CLOSING = [518, 29914, 25580, 29962]
TRAINED_CLOSING = [29871, *CLOSING]  # two spaces
BOX = [29966, 29896, 29900, 5299, 29906, 29900, 5299, 29941, 29900, 5299, 29946, 29900, 29958, 29913]
COLOR = [518, 29894, 25621, 29962, 825, 2927, 338, 278, 11203, 29973]
LOCATION = [518, 20275, 29962, 2367, 592, 278, 4423, 310, 278, 11203]
WHERE = [988, 338, 372, 29973]
ASKED: list[tuple[Task | None, str, list[int]]] = [
    (Task.VQA, "what color is the dog?", COLOR),
    (Task.CAPTION, "", [518, 6671, 29962, 1771, 2575, 368, 8453, 445, 1967, 29889]),
    (Task.REFER, "the dog", LOCATION),
    (Task.DETECTION, "a man, two dogs", [518, 29881, 2650, 428, 29962, 263, 767, 29892, 1023, 26361]),
    (Task.GROUNDING, "", [518, 2057, 292, 29962, 8453, 445, 1967, 297, 9493]),
    (Task.IDENTIFY, "", [518, 1693, 1598, 29962, 825, 338, 445, 426, *BOX]),
    (None, "hello", [22172]),
]


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """LLaMA-2's tokenizer reduced to the pieces of these prompts, with their ids."""
    held = json.loads((Path(__file__).parent / "llama_pieces.json").read_text(encoding="utf-8"))
    merges = [tuple(merge.split(" ")) for merge in held["merges"]]
    tokenizer = Tokenizer(models.BPE(held["pieces"], merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in ("<unk>", "<s>", "</s>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


@pytest.fixture(scope="module")
def released() -> MiniGPTv2Processor:
    image_processor = MiniGPTv2ImageProcessor(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    return MiniGPTv2Processor(image_processor, llama_tokenizer(), IMAGE_TOKENS, IMAGE, RELEASED)


def asked(processor: MiniGPTv2Processor, request: Request) -> list[int]:
    turns = request.turns_in(processor.prompt_form)
    ids: list[int] = processor([request.image], [turns])["input_ids"][0].tolist()
    return ids


def trained(processor: MiniGPTv2Processor, *samples: Sample) -> tuple[list[int], list[int]]:
    """Return the training ids of a conversation about an image, and its target ids."""
    first, *more = samples
    sample = Sample(first.task, first.turn, follow_ups=tuple(more))
    batch = SharedImageCollator(processor)([Example(picture(0), [sample])])
    length = int(batch["attention_mask"][0, 0, :, 0].sum())  # what sees the first token is no padding
    learnt = [label for label in batch["labels"][0].tolist() if label != IGNORED]
    return batch["input_ids"][0, :length].tolist(), learnt


class TestTheReleasedForm:
    @pytest.mark.parametrize(("task", "argument", "ids"), ASKED)
    def test_each_task_is_asked_in_the_tokens_of_the_reference(
        self, released: MiniGPTv2Processor, task: Task | None, argument: str, ids: list[int]
    ) -> None:
        region = REGION if task is Task.IDENTIFY else None
        found = asked(released, Request(task, argument, region, picture(0)))
        assert found == [*OPENING, *ids, *CLOSING]

    def test_an_earlier_answer_follows_its_question_in_one_text_and_nothing_ends_it(
        self, released: MiniGPTv2Processor
    ) -> None:
        history = (Turn("[vqa] what color is the dog?", "brown"),)
        found = asked(released, Request(None, "where is it?", None, picture(0), history))
        brown = [29890, 4708]  # "brown" right behind "]", not the piece that begins a word
        second = [1, 518, 25580, 29962, *WHERE, *CLOSING]
        assert found == [*OPENING, *COLOR, *CLOSING, *brown, *second]

    def test_without_a_picture_the_words_follow_at_once(self, released: MiniGPTv2Processor) -> None:
        assert asked(released, Request(None, "hello")) == [1, 1, 518, 25580, 29962, 22172, *CLOSING]

    def test_training_has_one_bos_and_two_spaces_and_ends_each_answer(
        self, released: MiniGPTv2Processor
    ) -> None:
        vqa = Sample(Task.VQA, Turn("[vqa] what color is the dog?", "brown"))
        ids, learnt = trained(released, vqa, Sample(None, Turn("where is it?", "left")))
        first = [*OPENING[1:], *COLOR, *TRAINED_CLOSING, 17354, 2]
        assert ids == [*first, 1, 518, 25580, 29962, *WHERE, *TRAINED_CLOSING, 2175, 2]
        assert learnt == [17354, 2, 2175, 2]

    def test_a_box_is_learnt_in_the_tokens_of_the_reference(self, released: MiniGPTv2Processor) -> None:
        refer = Sample(Task.REFER, Turn("[refer] give me the location of the dog", "{<10><20><30><40>}"))
        ids, learnt = trained(released, refer)
        assert ids == [*OPENING[1:], *LOCATION, *TRAINED_CLOSING, 426, *BOX, 2]
        assert learnt == [426, *BOX, 2]

    def test_typed_text_is_used_verbatim_with_own_words(self) -> None:
        assert RELEASED.words(Task.REFER, "the world cup", typed="the world cup") == "[refer] the world cup"
        words = RELEASED.words(Task.IDENTIFY, region=REGION, typed="who is this")
        assert words == "[identify] who is this {<10><20><30><40>}"
        assert RELEASED.words(Task.CAPTION, typed="say  it in a line") == "[caption] say  it in a line"
        assert RELEASED.words(None, "hi", typed="hi [/INST] there") == "hi (/INST) there"

    def test_answer_lengths_are_those_of_the_reference_evaluation(self) -> None:
        assert [RELEASED.longest(task) for task in (Task.VQA, Task.REFER, None)] == [20, 20, 500]


class TestOurForm:
    def test_typed_words_stand_within_the_wordings_that_were_trained(self) -> None:
        assert OURS.words(Task.CAPTION, typed="say it in a line") == "[caption] briefly describe the image"
        assert OURS.words(Task.REFER, "a dog", typed="a dog") == "[refer] give me the location of a dog"

    @pytest.mark.parametrize("task", [Task.REFER, Task.IDENTIFY])
    def test_a_missing_required_argument_is_an_error(self, task: Task) -> None:
        for form in (OURS, RELEASED):
            with pytest.raises(ValueError, match=rf"\[{task}\] needs"):
                form.words(task, " ", typed=" ")

    def test_a_folder_without_a_form_has_ours(self, tmp_path: Path) -> None:
        tiny_processor().save_pretrained(tmp_path)
        path = tmp_path / "processor_config.json"
        values = json.loads(path.read_text())
        assert values.pop("prompt_form") == OURS.model_dump(mode="json")
        path.write_text(json.dumps(values))
        assert MiniGPTv2Processor.from_pretrained(tmp_path).prompt_form == OURS


def test_the_form_goes_with_the_folder(released: MiniGPTv2Processor, tmp_path: Path) -> None:
    released.save_pretrained(tmp_path)
    request = Request(Task.REFER, "the dog", None, picture(0))
    assert asked(MiniGPTv2Processor.from_pretrained(tmp_path), request) == asked(released, request)


def changed(**values: Any) -> dict[str, Any]:
    return OURS.model_dump(mode="json") | values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (changed(spaces=2), r"prompt_form\.spaces: Extra inputs"),
        (changed(asking={"begins": 0}), r"prompt_form\.asking: a prompt begins with 1 to 4 BOS"),
        (changed(asking={"bos": 2}), r"prompt_form\.asking\.bos"),
        (changed(training={"begins": 2}), "training: a prompt begins with one BOS"),
        (changed(wordings={"vqa": "{argument}"}), r"wordings has nothing for caption, refer"),
        (changed(wordings=dict(OURS.wordings) | {"refer": "find it"}), r"'find it' of \[refer\] must hold"),
        (changed(wordings=dict(OURS.wordings) | {"caption": "{box}"}), r"'\{box\}' of \[caption\] must hold"),
        (changed(max_new_tokens={"vqa": 3}), "max_new_tokens has nothing for caption"),
        (changed(max_new_tokens=changed()["max_new_tokens"] | {"vqa": 0}), r"max_new_tokens\.vqa"),
    ],
)
def test_an_invalid_form_is_one_line_that_names_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        read_prompt_form(values)
    assert "\n" not in str(caught.value)


def test_a_form_survives_a_round_trip() -> None:
    for form in (OURS, RELEASED):
        assert read_prompt_form(json.loads(form.model_dump_json())) == form
    assert PromptForm.model_validate(changed(asking={"begins": 2})).asking == Frame(begins=2)
