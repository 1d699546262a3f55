"""Models of the reference's prompt form learn published datasets in its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import SharedImageCollator
from assistant.vlm.data.configuration import MixtureConfig, SourceConfig
from assistant.vlm.data.instructions import Sample
from assistant.vlm.data.mixture import Example, open_mixture
from assistant.vlm.data.sources import SOURCES
from assistant.vlm.data.wordings import clean_caption, open_for_training, training_samples
from assistant.vlm.prompt_form import OURS, PromptForm
from assistant.vlm.released.prompt_form import RELEASED
from assistant.vlm.tasks import Task, Turn

from .test_data_sources import CAPTION, GROUNDED, WRITERS, unnatural, vqav2
from .test_prompt_form import IMAGE, OPENING, released, trained
from .tiny import IMAGE_TOKENS, picture

__all__ = ["released"]  # the fixture

CAPTIONS = [f"[caption] {wording}" for wording in RELEASED.training_wordings[Task.CAPTION]]
SHORT = "[vqa] Based on the image, respond to this question with a short answer: "
BOX = "{<5><5><55><55>}"


def asked(question: str) -> list[str]:
    return [f"[vqa] {question}", f"{SHORT}{question}"]


def located(thing: str) -> list[str]:
    return [
        f"[refer] {thing}",
        f"[refer] give me the location of {thing}",
        f"[refer] where is {thing} ?",
        f"[refer] from this image, tell me the location of {thing}",
        f"[refer] the location of {thing} is",
        f"[refer] could you tell me the location for {thing} ?",
        f"[refer] where can I locate the {thing} ?",
    ]


def identified(box: str) -> list[str]:
    return [
        f"[identify] {box}",
        f"[identify] what object is in this location {box}",
        f"[identify] identify the object present at this location {box}",
        f"[identify] what is it in {box}",
        f"[identify] describe this object in {box}",
        f"[identify] this {box} is",
        f"[identify] the object in {box} is",
    ]


REFER = (located("the left dog"), BOX)
IDENTIFY = (identified(BOX), "the left dog")
PHRASES = (
    "<p>A man</p> {<0><10><10><20>} <p>a hat</p> {<10><10><20><20>} "
    "<p>two dogs</p> {<20><10><30><20>}<delim>{<30><10><40><20>} "
    "<p>a cat</p> {<40><10><50><20>} <p>the man's leg</p> {<40><10><50><20>}"
)
FIRST: dict[str, tuple[list[str], str]] = {
    "laion": (CAPTIONS, "a red car"),
    "cc_sbu": (CAPTIONS, "a red car"),
    "grit_grounding": (
        [f"[grounding] {wording}" for wording in RELEASED.training_wordings[Task.GROUNDING]],
        "<p>a dog</p>{<10><20><50><90>} in <p>a field</p>{<0><50><100><100>} of flowers, "
        "<p>two birds</p>{<60><10><70><20>}<delim>{<80><10><90><20>}",
    ),
    "grit_refer": (located("a dog in a field of flowers"), "{<10><20><50><90>}"),
    "grit_identify": (identified("{<10><20><50><90>}"), "a dog in a field of flowers"),
    "coco_caption": (CAPTIONS, "a bowl of food"),
    "textcaps": (CAPTIONS, "a sign"),
    "refcoco": REFER,
    "refcoco_plus": REFER,
    "refcocog": REFER,
    "refcoco_identify": IDENTIFY,
    "refcoco_plus_identify": IDENTIFY,
    "refcocog_identify": IDENTIFY,
    "visual_genome": (located("the clock is green"), "{<10><10><15><30>}"),
    "gqa": (asked("what is on the wall?"), "pipe"),
    "vqav2": (asked("what is he doing?"), "throwing"),
    "okvqa": (asked("what is he doing?"), "throwing"),
    "aokvqa": (asked("what is it?"), "train"),
    "ocrvqa": (asked("who wrote this?"), "sandra boynton"),
    "llava_conversation": (["What is in it?"], "A bus."),
    "llava_detail": (["what is in it?"], "A bus."),
    "llava_reasoning": (["what is in it?"], "A bus."),
    "multitask_conversation": (["[refer] where is the bus"], "{<1><2><30><40>}"),
    "flickr30k_grounded_caption": (
        [f"[grounding] {wording}" for wording in RELEASED.training_wordings[Task.GROUNDING]],
        GROUNDED,
    ),
    "flickr30k_caption_to_phrases": ([f"[detection] {CAPTION}"], PHRASES),
    "flickr30k_phrase_to_boxes": (["[detection] A man"], "<p>A man</p> {<0><10><10><20>}"),
    "unnatural_instructions": (["translate chien none"], "dog"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_each_dataset_is_worded_as_in_the_reference(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    samples = next(training_samples(name, tmp_path, RELEASED))
    words, answer = FIRST[name]
    assert [sample.turn.user for sample in samples] == words
    assert samples[0].turn.answer == answer


def test_other_prompt_forms_leave_the_published_words(tmp_path: Path) -> None:
    vqav2(tmp_path)
    (samples,) = training_samples("vqav2", tmp_path, OURS)
    assert [sample.turn.user for sample in samples] == [
        "[vqa] What is he doing?",
        "[vqa] What is he doing? answer briefly",
    ]
    assert {sample.turn.answer for sample in samples} == {"pitching"}  # the most frequent one


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("J. K. Rowling", "j k rowling"),
        ('A "Big" Dog!  (It\'s #1): *wow*; ~ok~\n', "a big dog it's 1 wow ok"),
        ("what's up, doc?", "what's up, doc?"),
        ("one\ttab\nand a line", "one\ttab\nand a line"),
        (" ".join(["Word"] * 51), " ".join(["word"] * 50)),
        ("...", ""),
    ],
)
def test_captions_are_cleaned_as_in_the_reference(text: str, cleaned: str) -> None:
    assert clean_caption(text) == cleaned


def test_one_of_all_answers_is_drawn_as_often_as_it_was_given(tmp_path: Path) -> None:
    vqav2(tmp_path)
    mixture = open_mixture(
        tmp_path, "train", MixtureConfig("photos", {"photos": 0, "vqav2": 1}), 300, 0, form=RELEASED
    )
    answers = [mixture.draw(index).samples[0].turn.answer for index in range(300)]
    assert 170 < answers.count("pitching") < 230  # two people of three
    assert answers.count("pitching") + answers.count("throwing") == 300


def test_a_record_that_is_only_punctuation_is_left_out(tmp_path: Path) -> None:
    unnatural(
        tmp_path, lambda rows: [row | {"instances": [row["instances"][0] | {"output": "!"}]} for row in rows]
    )
    assert list(training_samples("unnatural_instructions", tmp_path, RELEASED)) == []


def test_evaluation_reads_expressions_in_their_tokenized_form(tmp_path: Path) -> None:
    WRITERS["refcoco"](tmp_path)
    source = open_for_training("refcoco", tmp_path, SourceConfig(), OURS)
    assert [it.turns[0].argument for row in source.rows() for it in source.records(row.content)] == [
        "the left dog",
        "brown dog",
    ]


class TestLengths:
    def test_an_answer_is_cut_without_its_end(self, released: MiniGPTv2Processor) -> None:
        form = released.prompt_form.model_copy(update={"training_answer_tokens": 1})
        ids, learnt = trained(with_form(released, form), sample("brown"))
        assert ids[-1] == 17354
        assert learnt == [17354]

    def test_later_turns_count_as_part_of_the_answer(self, released: MiniGPTv2Processor) -> None:
        form = released.prompt_form.model_copy(update={"training_answer_tokens": 5})
        _, learnt = trained(with_form(released, form), sample("brown"), sample("left"))
        assert learnt == [17354, 2]  # then three tokens of the second question

    def test_a_prompt_is_cut_on_the_right_after_its_tokens_without_bos(
        self, released: MiniGPTv2Processor
    ) -> None:
        cut = len(OPENING[1:]) + 3 - 1
        form = released.prompt_form.model_copy(update={"training_prompt_tokens": cut})
        ids, learnt = trained(with_form(released, form), sample("brown"))
        assert ids == [*OPENING[1:], 518, 29894, 25621, 17354, 2]
        assert learnt == [17354, 2]

    def test_a_long_row_keeps_its_answer(self, released: MiniGPTv2Processor) -> None:
        long = Turn("[vqa] " + "dog " * 3000, "brown")
        batch = SharedImageCollator(released)([Example(picture(0), [Sample(Task.VQA, long)])])
        assert int((batch["input_ids"] == IMAGE).sum()) == IMAGE_TOKENS
        assert batch["labels"][batch["labels"] != -100].tolist() == [17354, 2]


def sample(answer: str) -> Sample:
    return Sample(Task.VQA, Turn("[vqa] what color is the dog?", answer))


def with_form(processor: MiniGPTv2Processor, form: PromptForm) -> MiniGPTv2Processor:
    return MiniGPTv2Processor(
        processor.image_processor, processor.tokenizer, processor.image_tokens, IMAGE, form
    )


def test_wordings_are_drawn_evenly(tmp_path: Path) -> None:
    WRITERS["gqa"](tmp_path)
    mixture = open_mixture(
        tmp_path, "train", MixtureConfig("photos", {"photos": 0, "gqa": 1}), 200, 0, form=RELEASED
    )
    users = [mixture.draw(index).samples[0].turn.user for index in range(200)]
    assert {users.count(words) for words in set(users)} <= set(range(70, 131))
    assert set(users) == set(asked("what is on the wall?"))
