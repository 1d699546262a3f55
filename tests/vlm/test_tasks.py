"""The prompt builder: exact to the token, and safe against markers in a person's text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.architecture.processing import IGNORED, MiniGPTv2Processor
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import (
    Frame,
    Segment,
    SegmentKind,
    Task,
    Turn,
    build_prompt,
    escape_markers,
    instruction,
    split_identifier,
    verbatim,
)

from .tiny import tiny_processor

BOS, EOS, IMAGE = 0, 1, 320
PROCESSOR = tiny_processor()
REGION = Box(10, 20, 30, 40)

MARKERS = st.sampled_from(
    ["<s>", "</s>", "<pad>", "[INST]", "[/INST]", "<Img>", "</Img>", "<ImageHere>", "[vqa]"]
)
CHARACTERS = st.characters(exclude_categories=["Cs"])

# fmt: off
REFER = [
    BOS, 61, 267, 63, 223, 30, 311, 32, IMAGE, IMAGE, IMAGE, IMAGE, 30, 17, 311, 32, 262, 84, 277, 71, 84, 63,
    223, 73, 75, 88, 71, 223, 79, 71, 263, 223, 296, 289, 284, 306, 263, 270, 283, 267, 63,
]
REFER_ANSWER = [275, 285, 259, 318, 259, 21, 18, 259, 22, 18, 271, EOS]
VQA = [
    BOS, 61, 267, 63, 223, 30, 311, 32, IMAGE, IMAGE, IMAGE, IMAGE, 30, 17, 311, 32, 262, 88, 83, 67, 63, 307,
    223, 69, 81, 296, 84, 281, 263, 270, 33, 283, 267, 63,
]
VQA_ANSWER = [68, 84, 278, 80, EOS]
CAPTION = [
    BOS, 61, 267, 63, 262, 289, 82, 284, 63, 303, 279, 277, 78, 91, 316, 263, 315, 283, 267, 63,
]
CHAT = [BOS, 61, 267, 63, 223, 74, 278, 314, 91, 270, 85, 33, 283, 267, 63]
# fmt: on


def words(processor: MiniGPTv2Processor, ids: list[int]) -> str:
    """Return the text of a prompt without BOS and image."""
    return str(processor.tokenizer.decode([token for token in ids[1:] if token != IMAGE]))


class TestGoldenTokens:
    def test_a_trained_turn_has_one_bos_and_one_eos_and_learns_its_answer(self) -> None:
        turn = Turn(instruction(Task.REFER, "the dog"), "{<10><20><30><40>}")
        encoded = PROCESSOR.encode(build_prompt([turn], image=True))
        assert encoded.input_ids == REFER + REFER_ANSWER
        assert encoded.labels == [IGNORED] * len(REFER) + REFER_ANSWER

    def test_several_turns_have_one_bos_each_and_the_picture_in_the_first(self) -> None:
        turns = [Turn(instruction(Task.VQA, "what color is the dog?"), "brown")]
        turns.append(Turn(instruction(Task.CAPTION)))
        encoded = PROCESSOR.encode(build_prompt(turns, image=True))
        assert encoded.input_ids == VQA + VQA_ANSWER + CAPTION
        assert encoded.labels == [IGNORED] * len(VQA) + VQA_ANSWER + [IGNORED] * len(CAPTION)

    def test_without_identifier_and_picture_the_words_stand_alone(self) -> None:
        encoded = PROCESSOR.encode(build_prompt([Turn("how many dogs?")], image=False))
        assert encoded.input_ids == CHAT

    def test_the_prompt_is_that_of_the_paper(self) -> None:
        ids = PROCESSOR.encode(build_prompt([Turn("[caption] describe", "a dog")], image=True)).input_ids
        assert words(PROCESSOR, ids) == "[INST] <Img></Img> [caption] describe [/INST]a dog</s>"
        assert ids.count(BOS) == ids.count(EOS) == 1

    def test_inference_and_training_prompts_are_equal(self) -> None:
        turns = [Turn("what is this?", "a dog"), Turn("where?", "in the snow")]
        trained = PROCESSOR.encode(build_prompt(turns, image=True)).input_ids
        asked = PROCESSOR.encode(build_prompt([turns[0], Turn("where?")], image=True)).input_ids
        assert trained[: len(asked)] == asked


class TestWhatAPersonTypes:
    @given(st.lists(MARKERS | st.text(CHARACTERS, min_size=1, max_size=4), min_size=1).map("".join))
    def test_text_cannot_add_a_turn_an_image_or_an_end(self, text: str) -> None:
        user = instruction(None, text)
        ids = PROCESSOR.encode(build_prompt([Turn(user)], image=True)).input_ids
        assert ids.count(BOS) == 1
        assert ids.count(EOS) == 0
        assert ids.count(PROCESSOR.tokenizer.pad_token_id) == 0
        assert ids.count(IMAGE) == PROCESSOR.image_tokens
        read = words(PROCESSOR, ids)
        assert read == f"[INST] <Img></Img> {user} [/INST]"
        assert read.count("[INST]") == read.count("[/INST]") == read.count("<Img>") == 1

    @pytest.mark.parametrize("marker", ["<s>", "</s>", "[INST]", "[/inst]", "<Img>", "</img>", "<ImageHere>"])
    def test_a_marker_is_escaped_and_its_word_is_kept(self, marker: str) -> None:
        assert escape_markers(f"what does {marker} mean?") == f"what does ({marker[1:-1]}) mean?"

    def test_an_identifier_inside_a_question_stays_text(self) -> None:
        assert split_identifier("what does [refer] mean?") == (None, "what does [refer] mean?")
        asked = instruction(Task.VQA, "what does [refer] mean?")
        assert asked == "[vqa] what does [refer] mean?"

    @pytest.mark.parametrize("task", Task)
    def test_an_identifier_at_the_start_sets_the_task(self, task: Task) -> None:
        assert split_identifier(f"  {task.identifier.upper()}  the dog ") == (task, "the dog")
        assert split_identifier(task.identifier) == (task, "")

    @pytest.mark.parametrize(
        "text", ["[reference] a", "[refer]a dog", "refer a dog", "[unknown] a", "", "()"]
    )
    def test_what_only_resembles_an_identifier_is_text(self, text: str) -> None:
        assert split_identifier(text) == (None, text)

    def test_boxes_and_braces_in_a_question_are_kept(self) -> None:
        assert instruction(Task.VQA, "what is {argument} at {<1><2><3><4>}") == (
            "[vqa] what is {argument} at {<1><2><3><4>}"
        )


class TestInstructions:
    @pytest.mark.parametrize(
        ("task", "argument", "region", "words_wanted"),
        [
            (Task.CAPTION, "", None, "[caption] briefly describe the image"),
            (Task.VQA, " how  many\ndogs? ", None, "[vqa] how many dogs?"),
            (Task.REFER, "the dog", None, "[refer] give me the location of the dog"),
            (Task.DETECTION, "dogs, a man", None, "[detection] dogs, a man"),
            (Task.GROUNDING, "", None, "[grounding] describe this image as detailed as possible"),
            (Task.GROUNDING, "describe the dogs", None, "[grounding] describe the dogs"),
            (Task.IDENTIFY, "", REGION, "[identify] what is this {<10><20><30><40>}"),
            (Task.VQA, "what is he doing?", REGION, "[vqa] what is he doing? {<10><20><30><40>}"),
            (None, "hello", None, "hello"),
            (None, "and this?", REGION, "and this? {<10><20><30><40>}"),
        ],
    )
    def test_the_words_of_each_task(
        self, task: Task | None, argument: str, region: Box | None, words_wanted: str
    ) -> None:
        assert instruction(task, argument, region) == words_wanted

    @pytest.mark.parametrize("write", [instruction, verbatim])
    @pytest.mark.parametrize("task", [Task.VQA, Task.REFER, Task.DETECTION])
    def test_a_task_without_its_argument_is_refused(
        self, task: Task, write: Callable[[Task, str], str]
    ) -> None:
        with pytest.raises(ValueError, match=rf"^\[{task}\] needs a question or a phrase$"):
            write(task, "  ")

    @pytest.mark.parametrize("write", [instruction, verbatim])
    def test_identify_without_a_region_is_refused(self, write: Callable[[Task, str], str]) -> None:
        with pytest.raises(ValueError, match=r"^\[identify\] needs a region$"):
            write(Task.IDENTIFY, "the dog")

    @pytest.mark.parametrize(
        ("task", "text", "region", "wanted"),
        [
            (Task.REFER, "Where's  the dog", None, "[refer] Where's  the dog"),
            (Task.VQA, "what is <Img>?", REGION, "[vqa] what is (Img)? {<10><20><30><40>}"),
            (Task.IDENTIFY, "", REGION, "[identify] {<10><20><30><40>}"),
            (Task.CAPTION, "", None, "[caption]"),
            (None, "hello", None, "hello"),
        ],
    )
    def test_verbatim_keeps_a_persons_words(
        self, task: Task | None, text: str, region: Box | None, wanted: str
    ) -> None:
        assert verbatim(task, text, region) == wanted

    def test_without_words_there_is_the_default(self) -> None:
        assert instruction(Task.GROUNDING) == "[grounding] describe this image as detailed as possible"
        assert instruction(None) == ""

    def test_a_region_alone_has_no_space_before_it(self) -> None:
        assert instruction(Task.GROUNDING, "", REGION) == "[grounding] {<10><20><30><40>}"

    def test_a_wording_takes_the_place_of_the_default(self) -> None:
        assert instruction(Task.REFER, "a dog", wording="where is {argument}?") == "[refer] where is a dog?"

    def test_every_task_has_wordings_that_begin_with_its_identifier(self) -> None:
        for task in Task:
            for wording in task.definition.wordings:
                assert instruction(task, "a dog", REGION, wording).startswith(f"[{task}] ")


class TestPromptBuilder:
    def test_the_segments_of_a_turn_with_a_picture(self) -> None:
        assert build_prompt([Turn("hello", "hi")], image=True) == [
            Segment(SegmentKind.BEGIN),
            Segment(SegmentKind.TEXT, "[INST] <Img>"),
            Segment(SegmentKind.IMAGE),
            Segment(SegmentKind.TEXT, "</Img> hello [/INST]"),
            Segment(SegmentKind.ANSWER, "hi"),
            Segment(SegmentKind.END),
        ]

    def test_the_frame_sets_the_tokens_and_spaces_around_the_turns(self) -> None:
        frame = Frame(begins=2, spaces=3, spaces_alone=0, apart=False, ends=False)
        turns = [Turn("a", "b"), Turn("c")]
        begin = Segment(SegmentKind.BEGIN)
        assert build_prompt(turns, image=False, frame=frame) == [
            *(begin, begin, Segment(SegmentKind.TEXT, "[INST] a[/INST]b")),
            *(begin, Segment(SegmentKind.TEXT, "[INST] c[/INST]")),
        ]
        assert build_prompt(turns[1:], image=True, frame=frame)[-1].text == "</Img> c   [/INST]"

    def test_bare_text_has_nothing_around_it(self) -> None:
        assert build_prompt([Turn("plan:", "caption", bare=True)], image=False) == [
            Segment(SegmentKind.BEGIN),
            Segment(SegmentKind.TEXT, "plan:"),
            Segment(SegmentKind.ANSWER, "caption"),
            Segment(SegmentKind.END),
        ]

    def test_later_turns_have_no_image(self) -> None:
        texts = [segment.text for segment in build_prompt([Turn("a", "b"), Turn("c")], image=True)]
        assert texts == ["", "[INST] <Img>", "", "</Img> a [/INST]", "b", "", "", "[INST] c [/INST]"]

    def test_no_turn_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^a prompt needs at least one turn$"):
            build_prompt([], image=True)

    @pytest.mark.parametrize(("turns", "place"), [("ab", "1 of 2"), ("abc", "2 of 3")])
    def test_a_turn_without_an_answer_before_the_last_is_refused(self, turns: str, place: str) -> None:
        unanswered = [Turn(user, "yes" if place[0] > "1" and user == "a" else None) for user in turns]
        with pytest.raises(ValueError, match=f"^turn {place} has no answer$"):
            build_prompt(unanswered, image=False)

    @pytest.mark.parametrize(
        "frame", [{"begins": 1}, {"begins": 4}, {"spaces": 8}, {"spaces_alone": 0}], ids=str
    )
    def test_a_frame_within_its_limits(self, frame: dict[str, Any]) -> None:
        assert vars(Frame(**frame)) == vars(Frame()) | frame

    @pytest.mark.parametrize(
        "frame", [{"begins": 0}, {"begins": 5}, {"spaces": 9}, {"spaces": -1}, {"spaces_alone": 9}], ids=str
    )
    def test_a_frame_beyond_them_is_refused(self, frame: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"^a prompt begins with 1 to 4 BOS, and has 0 to 8 spaces$"):
            Frame(**frame)
