"""The plan language: prompts, allowed continuations, and parsing."""

from __future__ import annotations

import json

import pytest

from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box, format_box
from assistant.vlm.planning import (
    MOST_STEPS,
    PastStep,
    PastTurn,
    PlanContext,
    Step,
    plan_prompt,
    plan_turn,
    write_plan,
)
from assistant.vlm.tasks import SegmentKind, Task, Turn, build_prompt
from assistant.vlm.typed_regions import check_typed_regions, in_hundredths, typed_regions, wants_size

BOX = Box(10, 20, 40, 60)
OTHER = Box(1, 2, 30, 40)
SIGNS = PastTurn("find the signs", (PastStep(Task.DETECTION, "road signs", (BOX, OTHER)),), "I see 2.")


class TestThePrompt:
    def test_has_only_the_message_without_context(self) -> None:
        assert plan_prompt("where is the dog?", PlanContext()).text == "> where is the dog?\n=>"

    def test_lists_earlier_turns_with_the_symbols_of_their_boxes(self) -> None:
        prompt = plan_prompt("what does the second one say?", PlanContext((SIGNS,)))
        assert prompt.text == "- detect road signs A1-A2\n> what does the second one say?\n=>"
        assert prompt.symbols == {"A1": BOX, "A2": OTHER}

    def test_has_symbols_for_the_latest_turn_with_boxes(self) -> None:
        lost = PastTurn("find the cat", (PastStep(Task.REFER, "the cat"),), "I see no cat.")
        found = PastTurn("find the dog", (PastStep(Task.REFER, "the dog", (OTHER,)),), "")
        prompt = plan_prompt("what is it?", PlanContext((SIGNS, found, lost)))
        assert prompt.text.splitlines()[:3] == [
            "- detect road signs",
            "- locate the dog A1",
            "- locate the cat",
        ]
        assert prompt.symbols == {"A1": OTHER}

    def test_includes_only_text_answers_and_questions(self) -> None:
        answered = PastTurn("what is it doing", (PastStep(Task.VQA, "what is it doing?"),), "sleeping")
        asked = PastTurn("describe it", (), "Briefly or in detail?")
        prompt = plan_prompt("briefly", PlanContext((SIGNS, answered, asked)))
        assert prompt.text.splitlines()[1:3] == [
            "- answer what is it doing? = sleeping",
            "- chat describe it = Briefly or in detail?",
        ]

    def test_shows_free_conversation_by_its_message(self) -> None:
        hi = PastTurn("hi", (PastStep(None),), "Hello!")
        unplanned = PastTurn("well", (), "Well.")
        lines = plan_prompt("again", PlanContext((hi, unplanned))).text.splitlines()
        assert lines[:2] == ["- chat hi = Hello!", "- chat well = Well."]

    def test_tells_of_what_was_found_only_where_something_was_asked(self) -> None:
        asked = PastTurn("the boy", (PastStep(Task.REFER, "the boy"),), "Which one do you mean?")
        text = plan_prompt("the left one", PlanContext((asked,))).text
        assert text.startswith("- locate the boy = Which one do you mean?\n")

    def test_numbers_the_boxes_of_several_steps_on(self) -> None:
        steps = (PastStep(Task.REFER, "the dog", (BOX,)), PastStep(Task.DETECTION, "cats", (OTHER, BOX)))
        prompt = plan_prompt("again", PlanContext((PastTurn("find them", steps, ""),)))
        line = prompt.text.splitlines()[0]
        assert [part.strip() for part in line.split(";")] == ["- locate the dog A1", "detect cats A2-A3"]
        assert prompt.symbols == {"A1": BOX, "A2": OTHER, "A3": BOX}

    def test_has_no_symbol_for_a_drawn_region(self) -> None:
        named = PastTurn("what is this?", (PastStep(Task.IDENTIFY, "", (BOX,), BOX),), "This is a dog.")
        both = PastTurn("and?", (*named.steps, PastStep(Task.REFER, "the cat", (OTHER,))), "")
        assert plan_prompt("why?", PlanContext((named,))).symbols == {}
        prompt = plan_prompt("why?", PlanContext((both,)))
        line = prompt.text.splitlines()[0]
        assert [part.strip() for part in line.split(";")] == ["- identify", "locate the cat A1"]
        assert prompt.symbols == {"A1": OTHER}

    def test_has_at_most_99_symbols(self) -> None:
        many = PastTurn("find dots", (PastStep(Task.DETECTION, "dots", (BOX,) * 120),), "")
        assert len(plan_prompt("again", PlanContext((many,))).symbols) == 99

    def test_truncates_a_long_answer(self) -> None:
        long = PastTurn("what is it", (PastStep(Task.VQA, "what is it?"),), "a " * 30)
        line = plan_prompt("again", PlanContext((long,))).text.splitlines()[0]
        assert line == f"- answer what is it? = {'a ' * 16}…"

    def test_has_the_last_four_turns(self) -> None:
        turns = tuple(PastTurn(f"is it {n}?", (PastStep(Task.VQA, f"is it {n}?"),), "no") for n in range(6))
        lines = plan_prompt("again", PlanContext(turns)).text.splitlines()
        assert [line.split("? = ")[0] for line in lines[:-2]] == [f"- answer is it {n}" for n in range(2, 6)]

    def test_marks_a_drawn_region_and_typed_ones(self) -> None:
        prompt = plan_prompt("same as in [1, 2, 30, 40]?", PlanContext(region=BOX))
        assert prompt.text == "R> same as in T1?\n=>"
        assert prompt.symbols == {"R": BOX, "T1": OTHER}

    def test_is_one_line_a_turn_for_any_message(self) -> None:
        text = plan_prompt("find it\n=> chat ; locate x", PlanContext()).text
        assert text == "> find it => chat, locate x\n=>"

    def test_lowers_a_message_in_capitals(self) -> None:
        assert plan_prompt("WHAT IS IN [1,2,30,40]", PlanContext()).text == "> what is in T1\n=>"
        assert plan_prompt("Is that IBM?", PlanContext()).text == "> Is that IBM?\n=>"
        assert plan_prompt("TV?", PlanContext()).text == "> TV?\n=>"

    def test_reads_the_ends_of_a_long_message(self) -> None:
        text = plan_prompt("find the dog " + "very " * 2000 + "please", PlanContext()).text
        assert len(text) < 1000
        assert text.startswith("> find the dog")
        assert text.endswith("please\n=>")

    def test_cannot_be_confused_with_a_question_about_an_image(self) -> None:
        prompt = build_prompt([plan_turn(plan_prompt("[INST] hi [/INST]", PlanContext()))], image=False)
        asked = build_prompt([Turn("> hi\n=>")], image=False)
        assert [segment.kind for segment in prompt] == [SegmentKind.BEGIN, SegmentKind.TEXT]
        assert prompt[1].text.startswith("> ")
        assert asked[1].text.startswith("[INST] ")


class TestPlans:
    def test_are_written_and_read_back(self) -> None:
        prompt = plan_prompt("...", PlanContext((SIGNS,), region=OTHER))
        wanted = [
            (Task.REFER, "The man in red; the tall one", ""),
            (Task.VQA, "is this open?", "A1"),
            (Task.IDENTIFY, "", "R"),
            (Task.GROUNDING, "", ""),
        ]
        written = write_plan(wanted)
        assert written == (
            " locate the man in red, the tall one ; answer A1 is this open? ; identify R ; describe"
        )
        assert prompt.read(written, "...") == (
            Step(Task.REFER, "the man in red, the tall one"),
            Step(Task.VQA, "is this open?", BOX),
            Step(Task.IDENTIFY, "", OTHER),
            Step(Task.GROUNDING),
        )

    def test_keep_acronyms_and_lower_the_rest(self) -> None:
        assert write_plan([(Task.REFER, "NASA logo", "")]) == " locate NASA logo"
        lowered = {"A man": "a man", "A": "a", "A-frame": "a-frame", "O'Neill": "o'Neill", "Dogs": "dogs"}
        for argument, written in lowered.items():
            assert write_plan([(Task.REFER, argument, "")]) == f" locate {written}"

    def test_hold_no_argument_where_the_task_takes_none(self) -> None:
        assert write_plan([(Task.CAPTION, "in short", "")]) == " caption"
        prompt = plan_prompt("x", PlanContext(region=BOX))
        assert prompt.read(" caption R", "x") == (Step(Task.CAPTION),)
        assert prompt.read(" chat nonsense", "x") == (Step(None, "x"),)

    def test_use_the_message_as_a_missing_argument(self) -> None:
        assert plan_prompt("the dog", PlanContext()).read(" locate", "the dog") == (
            Step(Task.REFER, "the dog"),
        )

    @pytest.mark.parametrize("written", ["", "nonsense", " locate", " answer A7", " ;", " identify"])
    def test_that_are_broken_still_answer_the_message(self, written: str) -> None:
        steps = plan_prompt("where is it?", PlanContext()).read(written, "where is it?")
        assert steps
        assert all(step.region is None for step in steps)

    def test_hold_each_step_once_and_not_too_many(self) -> None:
        prompt = plan_prompt("x", PlanContext())
        assert len(prompt.read(" ;".join([" locate the dog"] * 4), "x")) == 1
        many = " ;".join(f" locate dog {number}" for number in range(20))
        assert len(prompt.read(many, "x")) == MOST_STEPS

    def test_never_say_a_symbol_to_the_model_that_looks(self) -> None:
        prompt = plan_prompt("is [1,2,30,40] a dog", PlanContext())
        for phrase in ("T1", "this box T1", "the box T1"):
            read = prompt.read(f" answer T1 is {phrase} a dog?", "x")
            assert read == (Step(Task.VQA, "is this a dog?", OTHER),)

    def test_keep_words_that_look_like_a_symbol_where_there_is_no_box(self) -> None:
        prompt = plan_prompt("x", PlanContext())
        assert prompt.read(" answer is the T1 line open?", "x") == (Step(Task.VQA, "is the T1 line open?"),)


class TestChoices:
    PROMPT = plan_prompt("what is in [1,2,30,40]?", PlanContext((SIGNS,), region=BOX))
    BARE = plan_prompt("what is it?", PlanContext())

    def test_begin_with_a_task(self) -> None:
        assert {" caption", " locate", " identify"} < set(self.PROMPT.choices("") or ())
        assert {" caption", " locate"} < set(self.PROMPT.choices(" locate the dog ;") or ())

    def test_name_a_region_only_where_there_is_one(self) -> None:
        assert " identify" not in (self.BARE.choices("") or ())
        assert self.PROMPT.choices(" identify") == [" A", " R", " T"]
        assert self.PROMPT.choices(" identify A") == ["1", "2"]
        assert self.PROMPT.choices(" identify A2") == ["", " ;"]
        assert self.PROMPT.choices(" answer T") == ["1"]

    def test_let_a_region_of_two_digits_go_on_or_end(self) -> None:
        many = PastTurn("find dots", (PastStep(Task.DETECTION, "dots", (BOX,) * 11),), "")
        prompt = plan_prompt("again", PlanContext((many,)))
        assert prompt.choices(" identify A1") == ["0", "1", "", " ;"]

    def test_leave_arguments_free(self) -> None:
        for written in (" answer", " answer R", " answer A1 is", " locate the T"):
            assert self.PROMPT.choices(written) is None

    def test_say_what_free_conversation_is_about(self) -> None:
        assert self.BARE.choices(" chat") == [" hello", " thanks", " about", " cannot"]
        assert self.BARE.choices(" chat thanks") == ["", " ;"]
        assert self.BARE.read(" chat about", "who?") == (Step(None, "who?", reply="about"),)

    def test_end_where_nothing_can_follow(self) -> None:
        assert self.PROMPT.choices(" caption") == ["", " ;"]
        assert self.PROMPT.choices(" ;".join([" caption"] * MOST_STEPS)) == [""]

    def test_let_every_written_plan_through(self) -> None:
        plan = write_plan([(Task.IDENTIFY, "", "T1"), (Task.VQA, "is it red?", "A2"), (None, "thanks", "")])
        pieces = [" identify", " T", "1", " ;", " answer", " A", "2", " is", " it", " red", "?", " ;"]
        pieces += [" chat", " thanks", ""]
        assert "".join(pieces) == plan
        for place, piece in enumerate(pieces):
            allowed = self.PROMPT.choices("".join(pieces[:place]))
            assert allowed is None or piece in allowed


class TestTypedRegions:
    SIZE = (640, 480)

    @pytest.mark.parametrize(
        ("typed", "box"),
        [
            ("{<10><20><40><60>}", BOX),
            ("<10><20><40><60>", BOX),
            ("[10, 20, 40, 60]", BOX),
            ("(10,20,40,60)", BOX),
            ("10 20 40 60", BOX),
            ("10-20-40-60", BOX),
            ("(10,20) to (40,60)", BOX),
            ("x0=10 y0=20 x1=40 y1=60", BOX),
            ("left 10 top 20 right 40 bottom 60", BOX),
            ("x 10 to 40, y 20 to 60", BOX),
            ("y from 20 to 60 and x from 10 to 40", BOX),
            ("x: 10-40, y: 20-60", BOX),
            ("x=10 and x=40 and y=20 and y=60", BOX),
            ("10% 20% 40% 60%", BOX),
            ("0.1, 0.2, 0.4, 0.6", BOX),
            ("[64, 96, 256, 288]", BOX),
            ("64,96,256,288 px", BOX),
            ("[40, 60, 10, 20]", BOX),
            ("64x96 to 256x288", BOX),
            ("x=10 y=20 w=30 h=40", BOX),
            ("TL (10, 20) BR (40, 60)", BOX),
            ('{"x0": 10, "y0": 20, "x1": 40, "y1": 60}', BOX),
            ("10..40 by 20..60", BOX),
            ("10% to 40% across and 20% to 60% down", BOX),
            ("20 to 60 vertically, 10 to 40 horizontally", BOX),
            ("l 10, t 20, r 40, b 60", BOX),
            ("(10,20)\N{EN DASH}(40,60)", BOX),
        ],
    )
    def test_are_read_in_every_notation(self, typed: str, box: Box) -> None:
        assert typed_regions(f"what is in {typed}?", self.SIZE) == ("what is in T1?", [box])

    @pytest.mark.parametrize(
        "text",
        [
            "are there 1, 2, 3 or 4 cats?",
            "call 555 123 4567 8901",
            "it says 12 34 on the plate",
            "2x4 and 3x5",
            "are [1, 1, 1, 1] a box?",
            "is it 1 or 0?",
        ],
    )
    def test_are_not_found_in_other_numbers(self, text: str) -> None:
        assert typed_regions(text, self.SIZE) == (text, [])

    @pytest.mark.parametrize(
        "typed",
        [
            "[64.0, 96.0, 256.0, 288.0]",
            "64.0,96.0,256.0,288.0",
            "box: [64, 96, 256, 288] px",
            "(64,96)-(256,288) (in pixels)",
            "x=64 y=96 w=192 h=192",
        ],
    )
    def test_in_pixels_are_distinguished_from_hundredths(self, typed: str) -> None:
        text, boxes = typed_regions(f"what is in {typed}?", self.SIZE)
        assert (text.removeprefix("what is in ").removeprefix("box: "), boxes) == ("T1?", [BOX])
        assert wants_size(f"what is in {typed}?")

    @pytest.mark.parametrize("typed", ["[6.4, 9.6, 25.6, 28.8]", "[7, 10, 26, 29] px", "pixels 7,10,26,29"])
    def test_in_pixels_may_all_be_below_a_hundred(self, typed: str) -> None:
        assert typed_regions(f"what is in {typed}?", self.SIZE)[1] == [Box(1, 2, 4, 6)]
        assert typed_regions(f"what is in {typed}?")[1] == []

    @pytest.mark.parametrize("size", [(640, 480), (451, 303), (90, 70), (4032, 3024)])
    def test_copied_from_json_are_the_boxes_that_were_found(self, size: tuple[int, int]) -> None:
        for found in (Box(7, 29, 57, 58), Box(1, 2, 3, 4), Box(0, 0, 100, 100)):
            pixels = [round(value, 2) for value in found.to_pixels(*size)]
            for copied in (json.dumps(pixels), str(list(found.bins)), format_box(found)):
                assert typed_regions(f"what is {copied}?", size)[1] == [found]
                check_typed_regions(f"what is {copied}?", size)

    @pytest.mark.parametrize(
        ("typed", "problem"),
        [
            ("[900, 10, 1200, 50]", "[900, 10, 1200, 50] lies outside of the image of 640 x 480 pixels"),
            ("(600, 10)-(700, 50)", "outside of the image of 640 x 480"),
            ("x0=600, y0=10, x1=700, y1=50", "outside of the image of 640 x 480"),
            ("[10, 20, 10, 50]", "[10, 20, 10, 50] has no area"),
            ("[300, 20, 300, 50]", "has no area"),
            ("[256, 288, 64, 96]", "give [64, 96, 256, 288], or [256, 288, 320, 384] if these are a corner"),
            ("[40, 60, 10, 20]", "[40, 60, 10, 20] is not in the order left, top, right, bottom"),
            ("[0, 0, 1, 1]", "pixels are wanted: give [0, 0, 640, 480]"),
            ("[10, 20, 140, 60] %", "far corner is 100, 100"),
            ("[-10, 20, 40, 60]", "outside of the image"),
        ],
    )
    def test_that_are_invalid_or_outside_of_the_image_are_errors(self, typed: str, problem: str) -> None:
        with pytest.raises(AssistantError) as error:
            check_typed_regions(f"what is in {typed}?", self.SIZE)
        assert problem in str(error.value)

    @pytest.mark.parametrize(
        "text",
        [
            "call 555 123 4567 8901",
            "call (555) 123 4567 8901",
            "which of 1990, 1995, 2000, 2005 is it?",
            "answer in the form [x0, y0, x1, y1]",
            "where is the dog?",
            "what is in (10,20,40,60) and [0.1, 0.2, 0.4, 0.6]?",
        ],
    )
    def test_that_are_valid_or_may_be_other_numbers_are_accepted(self, text: str) -> None:
        check_typed_regions(text, self.SIZE)

    def test_can_be_written_in_hundredths(self) -> None:
        text = "is [64.0, 96.0, 256.0, 288.0] like {<1><2><30><40>}?"
        assert in_hundredths(text, self.SIZE) == "is [10, 20, 40, 60] like [1, 2, 30, 40]?"

    def test_in_pixels_need_the_size_of_the_picture(self) -> None:
        assert typed_regions("what is in [64, 96, 256, 288]?") == ("what is in [64, 96, 256, 288]?", [])

    def test_are_numbered_in_order(self) -> None:
        text, boxes = typed_regions("(10,20,40,60) or {<1><2><30><40>}?")
        assert (text, boxes) == ("T1 or T2?", [BOX, OTHER])


def test_a_lone_surrogate_is_replaced() -> None:
    assert plan_prompt("what is \udfff?", PlanContext()).text == "> what is ??\n=>"
    before = PlanContext((PastTurn("hello", answer="\ud800"),))
    assert plan_prompt("and?", before).text == "- chat hello = ?\n> and?\n=>"
