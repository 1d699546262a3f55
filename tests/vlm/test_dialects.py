"""Dialects: each family's prompts, and its answers, also malformed ones, parsed into boxes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.vlm.answers import Request
from assistant.vlm.engine.dialects.base import Dialect, LabelledBox, Reading, Size, within
from assistant.vlm.engine.dialects.moondream import MOONDREAM
from assistant.vlm.engine.dialects.registry import DIALECTS, dialect_named, dialect_of
from assistant.vlm.engine.dialects.translation import to_grounded_text
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box, GroundedText, parse
from assistant.vlm.tasks import ABSENT_ANSWER, BOX_TASKS, Task, Turn

SIZE = (1120, 560)
CHAT = [dialect for dialect in DIALECTS.values() if dialect.post is None]
REFER = Request(Task.REFER, "the dog")
DETECT = Request(Task.DETECTION, "dogs, a ball")
GROUND = Request(Task.GROUNDING)


def reads(name: str, request: Request, text: str, size: Size = SIZE) -> GroundedText:
    return to_grounded_text(request, dialect_named(name).read(request, text, size))


def boxes(name: str, request: Request, text: str, size: Size = SIZE) -> dict[str, list[tuple[int, ...]]]:
    found = reads(name, request, text, size)
    return {phrase.text: [box.bins for box in phrase.boxes] for phrase in found.phrases}


@pytest.mark.parametrize(
    ("served", "dialect"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("qwen2.5vl:7b", "qwen2.5-vl"),
        ("qwen2p5-vl-32b-instruct", "qwen2.5-vl"),
        ("Qwen/Qwen3-VL-8B-Instruct-FP8", "qwen3-vl"),
        ("qwen3-vl:4b", "qwen3-vl"),
        ("qwen3.5-35b-a3b", "qwen3-vl"),
        ("Qwen/Qwen2-VL-2B-Instruct", "qwen3-vl"),
        ("OpenGVLab/InternVL3_5-8B", "internvl"),
        ("internvl2.5", "internvl"),
        ("google/paligemma2-3b-mix-448", "paligemma"),
        ("google/gemma-3-4b-it", "gemma"),
        ("gemini-2.5-flash", "gemma"),
        ("microsoft/Florence-2-large-ft", "florence-2"),
        ("minigptv2-7b", "ours"),
        ("nano", "ours"),
        ("gpt-4.1-nano", "plain"),
        ("banana", "plain"),
        ("gpt-4o", "plain"),
        ("moondream:latest", "plain"),  # served by others it speaks the chat API
    ],
)
def test_a_models_name_determines_its_dialect(served: str, dialect: str) -> None:
    assert dialect_of(served).name == dialect


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AssistantError, match=r"no dialect 'klingon': name one of qwen2\.5-vl, qwen3-vl"):
        dialect_named("klingon")


class TestQwen:
    def test_pixels_of_the_picture_as_it_is_sent(self) -> None:
        text = '```json\n[\n\t{"bbox_2d": [112, 56, 560, 504], "label": "the dog"}\n]\n```'
        found = reads("qwen2.5-vl", REFER, text)
        assert (found.raw, found.boxes) == ("{<10><10><50><90>}", (Box(10, 10, 50, 90),))

    def test_thousandths_whatever_the_size(self) -> None:
        text = '[{"bbox_2d": [100, 100, 500, 900], "label": "the dog"}]'
        assert boxes("qwen3-vl", REFER, text, (7, 4000)) == {"": [(10, 10, 50, 90)]}

    def test_every_box_gets_its_label(self) -> None:
        text = (
            '[{"bbox_2d": [0, 0, 100, 100], "label": "dog"}, '
            '{"bbox_2d": [200, 0, 300, 100], "label": "ball"},'
            ' {"bbox_2d": [500, 0, 600, 100], "label": "dog"}]'
        )
        assert boxes("qwen3-vl", DETECT, text) == {
            "dog": [(0, 0, 10, 10), (50, 0, 60, 10)],
            "ball": [(20, 0, 30, 10)],
        }

    def test_the_older_form_with_control_tokens(self) -> None:
        text = "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(100,200),(500,900)<|box_end|>"
        assert boxes("qwen3-vl", REFER, text) == {"": [(10, 20, 50, 90)]}

    @pytest.mark.parametrize("size", [(640, 480), (4096, 40), (40, 4096), (1, 1), (3000, 3000), (28, 29)])
    def test_images_are_sent_in_a_size_that_the_model_does_not_resize(self, size: Size) -> None:
        width, height = dialect_named("qwen2.5-vl").sizes(size)
        assert width % 28 == height % 28 == 0
        assert 28 * 28 <= width * height <= 1280 * 28 * 28
        assert max(width, height) / min(width, height) <= 200

    def test_a_wide_picture_keeps_its_corners(self) -> None:
        width, height = dialect_named("qwen2.5-vl").sizes((4096, 256))
        text = json.dumps([{"bbox_2d": [width // 2, 0, width, height], "label": "dog"}])
        assert boxes("qwen2.5-vl", REFER, text, (width, height)) == {"": [(50, 0, 100, 100)]}

    def test_a_grounded_description(self) -> None:
        text = (
            '{"description": "A dog chases a \\"red\\" ball, and another dog sleeps.", "objects": ['
            '{"bbox_2d": [0, 0, 100, 100], "label": "A dog"}, {"bbox_2d": [200, 0, 300, 100], "label": "a'
            ' \\"red\\" ball"}, {"bbox_2d": [500, 0, 600, 100], "label": "another dog"}]}'
        )
        found = reads("qwen3-vl", GROUND, text)
        assert found.raw == (
            '<p>A dog</p>{<0><0><10><10>} chases <p>a "red" ball</p>{<20><0><30><10>}, and '
            "<p>another dog</p>{<50><0><60><10>} sleeps."
        )

    def test_a_label_missing_from_the_description_is_appended(self) -> None:
        text = '{"description": "A park.", "objects": [{"bbox_2d": [0, 0, 500, 500], "label": "bench"}]}'
        found = reads("qwen3-vl", GROUND, text)
        assert (found.text, found.raw) == ("A park. bench", "A park. <p>bench</p>{<0><0><50><50>}")

    def test_reasoning_is_not_part_of_the_answer(self) -> None:
        text = '<think>Maybe [0, 0, 10, 10]? No.</think>[{"bbox_2d": [100, 200, 500, 900]}]'
        assert boxes("qwen3-vl", REFER, text) == {"": [(10, 20, 50, 90)]}
        assert (
            reads("qwen3-vl", Request(None, "hi"), "the template opened it</think>\nHello.").text == "Hello."
        )
        assert reads("qwen3-vl", Request(None, "hi"), "<think>still at it").text == ""


class TestBrokenJson:
    @pytest.mark.parametrize(
        "text",
        [
            'Sure! Here it is:\n[{"bbox_2d": [100, 200, 500, 900], "label": "dog"}]\nHope that helps!',
            '[{"bbox_2d": [100, 200, 500, 900], "label": "do',
            '[{"bbox_2d": [100, 200, 500, 900]',
            '{"label": "dog", "bbox_2d": [100, 200, 500, 900]}',
            '{"bbox_2d": [[100, 200, 500, 900]]}',
            "[{'bbox_2d': [100, 200, 500, 900], 'label': 'dog'}]",
            '[{"bbox_2d": [100.0, 200.0, 500.0, 900.0,],}]',
            '[{"bbox_2d": ["100", "200", "500", "900"]}]',
            "[100, 200, 500, 900]",
            "The dog is at (100, 200, 500, 900).",
            "The dog is at (100, 200), (500, 900).",
            '{"x_min": 100, "y_min": 200, "x_max": 500, "y_max": 900}',
            '{"x1": 100, "y1": 200, "x2": 500, "y2": 900}',
            '{"ymin": 200, "xmin": 100, "ymax": 900, "xmax": 500}',
            '{"left": 100, "top": 200, "right": 500, "bottom": 900}',
            '[{"bbox_2d": [500, 900, 100, 200]}]',  # the corners swapped
            '[{"bbox_2d": [500, 200, 100, 900]}]',
            '[{"bbox_2d": [0.1, 0.2, 0.5, 0.9]}]',  # fractions, whatever was asked for
            'The 5" toy dog: [{"bbox_2d": [100, 200, 500, 900]}]',  # a stray quote
            '[{"box_2d": [200, 100, 900, 500]}]',  # y first, by its key
        ],
    )
    def test_one_box_in_every_notation(self, text: str) -> None:
        assert [box.bins for box in reads("qwen3-vl", REFER, text).boxes] == [(10, 20, 50, 90)]

    def test_a_value_out_of_range_is_clipped_to_the_image(self) -> None:
        assert boxes("qwen3-vl", REFER, '[{"bbox_2d": [-20, 200, 1400, 900]}]') == {"": [(0, 20, 100, 90)]}

    @pytest.mark.parametrize(
        "corners", ["[1200, 0, 1400, 100]", "[-9, -9, -5, -5]", "[0, 0, 0, 0]", "[5, 5, 5, 9]"]
    )
    def test_empty_boxes_and_boxes_outside_are_dropped(self, corners: str) -> None:
        assert reads("qwen3-vl", REFER, f'[{{"bbox_2d": {corners}}}]').boxes == ()

    def test_a_truncated_list_keeps_its_complete_boxes(self) -> None:
        text = '[{"bbox_2d": [0, 0, 100, 100], "label": "dog"}, {"bbox_2d": [200, 0, 300, 10'
        assert boxes("qwen3-vl", DETECT, text) == {"dog": [(0, 0, 10, 10)]}

    def test_boxes_without_a_label_get_the_requested_phrase(self) -> None:
        assert boxes("qwen3-vl", DETECT, "[[0, 0, 100, 100]]") == {"dogs, a ball": [(0, 0, 10, 10)]}

    def test_a_key_may_be_the_label(self) -> None:
        text = '{"dog": [0, 0, 100, 100], "balls": [[200, 0, 300, 100], [500, 0, 600, 100]]}'
        assert boxes("qwen3-vl", DETECT, text) == {
            "dog": [(0, 0, 10, 10)],
            "balls": [(20, 0, 30, 10), (50, 0, 60, 10)],
        }

    def test_a_label_cannot_contain_our_markup(self) -> None:
        text = '[{"bbox_2d": [0, 0, 100, 100], "label": "<p>dog</p>{<1><2><3><4>}"}]'
        assert boxes("qwen3-vl", DETECT, text) == {"dog": [(0, 0, 10, 10)]}

    def test_a_lone_surrogate_is_replaced(self) -> None:
        text = '[{"bbox_2d": [0, 0, 100, 100], "label": "dog \\ud83d"}]'
        assert boxes("qwen3-vl", DETECT, text) == {"dog ?": [(0, 0, 10, 10)]}


ABSENT = [
    "[]",
    "```json\n[]\n```",
    '{"objects": []}',
    '[{"bbox_2d": null, "label": "the dog"}]',
    "none",
    "None.",
    "There is no dog in the image.",
    "I cannot see a dog here.",
    "I don\u2019t see any dog.",
    '[{"bbox_2d": [0, 0, 0, 0], "label": "none"}]',
]


@pytest.mark.parametrize("text", ABSENT)
@pytest.mark.parametrize("request_", [REFER, DETECT], ids=["refer", "detection"])
@pytest.mark.parametrize("name", ["qwen3-vl", "qwen2.5-vl", "gemma", "plain"])
def test_a_denial_becomes_our_models_denial(name: str, request_: Request, text: str) -> None:
    found = reads(name, request_, text)
    assert (found.text, found.raw, found.phrases) == (ABSENT_ANSWER, ABSENT_ANSWER, ())


@pytest.mark.parametrize("name", ["internvl", "ours", "florence-2", "paligemma"])
def test_a_denial_without_json_is_understood(name: str) -> None:
    assert reads(name, REFER, "none").text == ABSENT_ANSWER


def test_other_words_stay_as_they_are() -> None:
    text = "It sits on the sofa, next to the lamp."
    for name in ("qwen3-vl", "internvl", "plain", "ours"):
        assert reads(name, REFER, text).text == text
    assert reads("qwen3-vl", REFER, "").text == ""


class TestInternVl:
    def test_a_phrase_and_its_boxes(self) -> None:
        text = (
            "<ref>dogs</ref><box>[[100, 200, 500, 900], [0, 0, 50, 50]]</box> "
            "<ref>ball</ref><box>[[1, 2, 30, 40]]</box>"
        )
        assert boxes("internvl", DETECT, text) == {
            "dogs": [(10, 20, 50, 90), (0, 0, 5, 5)],
            "ball": [(0, 0, 3, 4)],
        }

    def test_boxes_without_stripped_tags(self) -> None:
        text = "dogs[[100, 200, 500, 900], [0, 0, 50, 50]]\nball[[10, 20, 30, 40]]"
        assert boxes("internvl", DETECT, text) == {
            "dogs": [(10, 20, 50, 90), (0, 0, 5, 5)],
            "ball": [(1, 2, 3, 4)],
        }

    def test_a_grounded_description_is_read_in_its_place(self) -> None:
        text = (
            "There is <ref>a dog</ref><box>[[100, 200, 500, 900]]</box> on "
            "<ref>the grass</ref><box>[[0, 500, 1000, 1000]]</box>."
        )
        found = reads("internvl", GROUND, text)
        assert found.raw == "There is <p>a dog</p>{<10><20><50><90>} on <p>the grass</p>{<0><50><100><100>}."

    def test_cut_off_in_the_middle_of_a_box(self) -> None:
        text = "<ref>dog</ref><box>[[100, 200, 500, 900]]</box><ref>ball</ref><box>[[10, 2"
        assert boxes("internvl", DETECT, text) == {"dog": [(10, 20, 50, 90)]}


class TestGoogle:
    def test_gemma_writes_y_first(self) -> None:
        text = '```json\n[{"box_2d": [200, 100, 900, 500], "label": "dog"}]\n```'
        assert boxes("gemma", DETECT, text) == {"dog": [(10, 20, 50, 90)]}

    def test_paligemma_writes_locations_before_the_label(self) -> None:
        text = "<loc0205><loc0103><loc0922><loc0512> dog ; <loc0000><loc0512><loc0512><loc1023> ball"
        assert boxes("paligemma", DETECT, text) == {"dog": [(10, 20, 50, 90)], "ball": [(50, 0, 99, 50)]}

    def test_a_gemma_that_was_trained_on_locations(self) -> None:
        assert boxes("gemma", REFER, "<loc0205><loc0103><loc0922><loc0512> dog") == {"": [(10, 20, 50, 90)]}

    def test_half_a_box_is_dropped(self) -> None:
        assert reads("paligemma", REFER, "<loc0205><loc0103><loc0922>").boxes == ()

    @pytest.mark.parametrize(
        ("request_", "prompt"),
        [
            (REFER, "detect the dog"),
            (DETECT, "detect dogs ; a ball"),
            (Request(Task.CAPTION), "caption en"),
            (Request(Task.VQA, "what colour?"), "answer en what colour?"),
            (
                Request(Task.IDENTIFY, region=Box(0, 50, 100, 100)),
                "caption <loc0512><loc0000><loc1023><loc1023>",
            ),
        ],
    )
    def test_paligemma_has_its_own_prompts(self, request_: Request, prompt: str) -> None:
        assert dialect_named("paligemma").ask(request_, SIZE) == prompt


class TestFlorence:
    def test_locations_follow_their_label(self) -> None:
        text = (
            "</s><s>a dog<loc_100><loc_200><loc_500><loc_900><loc_0><loc_0><loc_50><loc_50>"
            "a ball<loc_1><loc_2><loc_30><loc_40></s>"
        )
        assert boxes("florence-2", DETECT, text) == {
            "a dog": [(10, 20, 50, 90), (0, 0, 5, 5)],
            "a ball": [(0, 0, 3, 4)],
        }

    def test_labels_and_locations_become_a_description(self) -> None:
        text = "dog<loc_100><loc_200><loc_500><loc_900>grass<loc_0><loc_500><loc_999><loc_999>"
        assert reads("florence-2", GROUND, text).raw == (
            "<p>dog</p>{<10><20><50><90>}, <p>grass</p>{<0><50><99><99>}"
        )

    def test_a_phrase_without_a_location_was_not_found(self) -> None:
        assert reads("florence-2", REFER, "the dog").text == ABSENT_ANSWER

    def test_it_answers_no_questions(self) -> None:
        with pytest.raises(AssistantError, match="answers no questions"):
            dialect_named("florence-2").ask(Request(Task.VQA, "what?"), SIZE)


class TestMoondream:
    def ask(self, request: Request, answers: Mapping[str, Any]) -> tuple[GroundedText, list[tuple[str, Any]]]:
        calls: list[tuple[str, Any]] = []

        async def post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            calls.append((path, {name: value for name, value in body.items() if name != "image_url"}))
            assert body["image_url"] == "data:…"
            answer: Mapping[str, Any] = answers[path]
            return answer

        assert MOONDREAM.post is not None
        reading = asyncio.run(self._run(request, post))
        return to_grounded_text(request, reading), calls

    async def _run(self, request: Request, post: Any) -> Reading:
        assert MOONDREAM.post is not None
        return await MOONDREAM.post(request, "data:…", post)

    def test_one_thing_is_detected(self) -> None:
        box = {"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.9}
        found, calls = self.ask(REFER, {"/detect": {"objects": [box]}})
        assert (found.raw, calls) == ("{<10><20><50><90>}", [("/detect", {"object": "the dog"})])

    def test_the_point_chooses_among_several_boxes(self) -> None:
        left = {"x_min": 0.0, "y_min": 0.0, "x_max": 0.4, "y_max": 1.0}
        right = {"x_min": 0.6, "y_min": 0.0, "x_max": 1.0, "y_max": 1.0}
        answers = {"/detect": {"objects": [left, right]}, "/point": {"points": [{"x": 0.8, "y": 0.5}]}}
        found, calls = self.ask(Request(Task.REFER, "the dog on the right"), answers)
        assert found.boxes == (Box(60, 0, 100, 100),)
        assert [path for path, _ in calls] == ["/detect", "/point"]

    def test_each_thing_of_a_list_is_detected(self) -> None:
        box = {"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.9}
        found, calls = self.ask(DETECT, {"/detect": {"objects": [box]}})
        assert [body["object"] for _, body in calls] == ["dogs", "a ball"]
        assert [phrase.text for phrase in found.phrases] == ["dogs", "a ball"]

    def test_nothing_found_is_not_there(self) -> None:
        assert self.ask(REFER, {"/detect": {"objects": []}})[0].text == ABSENT_ANSWER

    def test_words(self) -> None:
        assert self.ask(Request(Task.CAPTION), {"/caption": {"caption": " A dog. "}})[0].text == "A dog."
        assert self.ask(Request(Task.VQA, "what?"), {"/query": {"answer": "a dog"}})[0].text == "a dog"

    @pytest.mark.parametrize(
        "answer", [{}, {"objects": None}, {"objects": "x"}, {"error": "no"}], ids=lambda answer: str(answer)
    )
    def test_an_answer_of_another_api_is_an_error(self, answer: dict[str, Any]) -> None:
        with pytest.raises(AssistantError, match="Moondream's own API"):
            self.ask(REFER, {"/detect": answer})

    def test_an_object_without_all_its_sides_is_dropped(self) -> None:
        things = [{"x_min": 0.1}, None, 5, {"x_min": "a", "y_min": 0, "x_max": 1, "y_max": 1}]
        assert self.ask(REFER, {"/detect": {"objects": things}})[0].text == ABSENT_ANSWER


class TestOurs:
    def test_it_gets_our_prompts(self) -> None:
        request = Request(Task.REFER, "the dog", history=(Turn("[caption] x", "{<1><2><3><4>}"),))
        ours = dialect_named("ours")
        assert ours.ask(request, SIZE) == "[refer] give me the location of the dog"
        assert ours.earlier(request) == [("[caption] x", "{<1><2><3><4>}")]

    def test_its_boxes_are_read_by_the_box_module(self) -> None:
        text = "<p>dogs</p> {<10><20><50><90>}<delim>{<0><0><5><5>}"
        assert reads("ours", DETECT, text).raw == text


@pytest.mark.parametrize("dialect", CHAT, ids=lambda dialect: dialect.name)
class TestEveryDialect:
    def test_the_prompt_contains_the_argument(self, dialect: Dialect) -> None:
        for request in (REFER, DETECT):
            assert request.argument.split(",")[0] in dialect.ask(request, SIZE)

    def test_a_region_is_written_in_the_familys_scale(self, dialect: Dialect) -> None:
        asked = dialect.ask(Request(Task.IDENTIFY, region=Box(10, 20, 50, 100)), (1000, 500))
        assert any(
            form in asked
            for form in (
                "[100, 100, 500, 500]",
                "[100, 200, 500, 1000]",
                "[200, 100, 1000, 500]",
                "<loc0204><loc0102><loc1023><loc0512>",
                "<loc_100><loc_200><loc_500><loc_999>",
                "{<10><20><50><100>}",
            )
        )

    def test_a_missing_argument_is_an_error_as_for_our_model(self, dialect: Dialect) -> None:
        with pytest.raises(ValueError, match=r"\[refer\] needs"):
            dialect.ask(Request(Task.REFER), SIZE)
        with pytest.raises(ValueError, match=r"\[identify\] needs a region"):
            dialect.ask(Request(Task.IDENTIFY), SIZE)

    @given(st.text(), st.sampled_from([*Task, None]))
    def test_any_text_is_read(self, dialect: Dialect, text: str, task: Task | None) -> None:
        self.check(dialect, Request(task, "a dog", Box(0, 0, 9, 9)), text)

    @given(
        st.lists(
            st.sampled_from(
                ["{", "}", "[", "]", '"', "'", "\\", ",", ":", "bbox_2d", "label", "description", "dog", "7",
                 "-3", "999.5", "<ref>", "</ref>", "<box>", "</box>", "<loc0123>", "<loc_45>", "<p>", "</p>",
                 "{<1><2><3><4>}", "<delim>", "<think>", "</think>", "\n", " ", "(1,2),(3,4)", "[1, 2, 3, 4]",
                 "```json", "none", '"box_2d": [5, 6, 70, 80]', "İ"]
            ),
            max_size=40,
        ).map("".join),
        st.sampled_from(BOX_TASKS),
    )  # fmt: skip
    def test_any_heap_of_markup_is_read(self, dialect: Dialect, text: str, task: Task) -> None:
        self.check(dialect, Request(task, "a dog"), text)

    def check(self, dialect: Dialect, request: Request, text: str) -> None:
        reading = dialect.read(request, text, SIZE)
        assert all(0 <= found.start <= found.end <= len(text) for found in reading.found)
        grounded = to_grounded_text(request, reading, [0.5] * len(reading.found))
        if reading.found:
            assert all(box.score == 0.5 for box in grounded.boxes)
            assert parse(grounded.raw).boxes == grounded.boxes
            expected = 1 if request.task is Task.REFER else len(reading.found)
            assert len(grounded.boxes) == expected

    def test_long_answers_are_read_in_linear_time(self, dialect: Dialect) -> None:
        for part in ('{"', "[", "<ref>", "((", '"a": [', "<loc0001>", "<think>", "`" * 3, "[[1, 2,"):
            dialect.read(GROUND, part * 3_000, SIZE)
            dialect.read(REFER, part * 3_000, SIZE)


@given(
    st.lists(st.tuples(*[st.integers(0, 100)] * 4), min_size=1, max_size=5),
    st.sampled_from([(1120, 560), (28, 5600)]),
)
def test_what_is_written_in_a_family_s_own_form_is_read_as_it_was(
    corners: list[tuple[int, int, int, int]], size: Size
) -> None:
    wanted = [Box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    wanted = [box for box in wanted if box.area]
    for name, key in (("qwen3-vl", "bbox_2d"), ("plain", "box"), ("gemma", "box_2d")):
        dialect = dialect_named(name)
        forms = [
            dialect.ask(Request(Task.IDENTIFY, region=box), size).partition("region ")[2].partition("]")[0]
            + "]"
            for box in wanted
        ]
        text = "[" + ", ".join(f'{{"{key}": {form}, "label": "dog"}}' for form in forms) + "]"
        found = dialect.read(DETECT, text, size).found
        assert [one.box for one in found] == wanted


def test_a_schema_asks_for_what_is_read() -> None:
    plain = dialect_named("plain")
    assert plain.schema is not None
    assert plain.schema(Request(Task.VQA, "what?")) is None
    schema = plain.schema(GROUND)
    assert schema is not None
    assert schema["required"] == ["description", "objects"]
    answer = {"objects": [{"label": "dog", "box": [100, 200, 500, 900]}]}
    assert boxes("plain", DETECT, json.dumps(answer)) == {"dog": [(10, 20, 50, 90)]}


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_pictures_are_never_enlarged_nor_made_to_nothing(width: int, height: int) -> None:
    sent = within(1344)((width, height))
    assert 1 <= sent[0] <= min(width, 1344)
    assert 1 <= sent[1] <= min(height, 1344)


def test_scores_follow_their_boxes_under_their_labels() -> None:
    found = tuple(LabelledBox(label, Box(at, 0, 100, 100)) for label, at in (("a", 1), ("b", 2), ("a", 3)))
    grounded = to_grounded_text(DETECT, Reading("", found), [0.1, 0.2, 0.3])
    assert [(box.x0, box.score) for box in grounded.boxes] == [(1, 0.1), (3, 0.3), (2, 0.2)]


def test_earlier_turns_are_sent_to_others_without_our_markup() -> None:
    history = (Turn("[refer] give me the location of the dog", "<p>the dog</p> {<1><2><3><4>}"),)
    request = Request(None, "and now?", image=Image.new("RGB", (9, 9)), history=history)
    assert dialect_named("plain").earlier(request) == [("give me the location of the dog", "the dog")]
