from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from PIL import Image

from assistant.vlm.answers import Completion, Continuation, Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.grounding import Box, GroundedPhrase, GroundedText, find_boxes, parse
from assistant.vlm.regions import (
    check_order,
    crop,
    crop_window,
    map_to_full_image,
    pixel_box,
    read_corners,
    to_full_image,
)
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

WIDTH, HEIGHT = 640, 480


class TestPixelBox:
    def test_is_read_in_bins(self) -> None:
        assert pixel_box([64, 96.5, 320, 480], WIDTH, HEIGHT) == Box(10, 20, 50, 100)
        assert pixel_box((64, 96, 320, 480), WIDTH, HEIGHT) == Box(10, 20, 50, 100)

    @pytest.mark.parametrize("bins", [(7, 29, 57, 58), (1, 33, 67, 99), (0, 0, 100, 100)])
    @pytest.mark.parametrize("size", [(451, 300), (3, 7), (7919, 101)])
    def test_comes_back_as_the_box_that_was_printed(
        self, bins: tuple[int, int, int, int], size: tuple[int, int]
    ) -> None:
        printed = [round(value, 2) for value in Box(*bins).to_pixels(*size)]
        assert pixel_box(printed, *size) == Box(*bins)

    @pytest.mark.parametrize("corners", [[-0.5, 0, 320, 240], [0, 0, 320.5, 240.49]])
    def test_is_clipped_if_it_exceeds_the_image_by_half_a_pixel(self, corners: list[float]) -> None:
        assert pixel_box(corners, 320, 240) == Box(0, 0, 100, 100)

    @pytest.mark.parametrize(
        ("corners", "problem"),
        [
            (
                [0.1, 0.2, 0.5, 0.6],
                "[0.1, 0.2, 0.5, 0.6] are fractions, but pixels are wanted: give [64, 96,",
            ),
            ([0, 0, 1, 1], "[0, 0, 1, 1] are fractions, but pixels are wanted: give [0, 0, 640, 480]"),
            ([-0.01, 0.2, 0.5, 0.6], "are fractions"),
            ([-0.5, 0.2, 0.5, 0.6], "are fractions"),
            ([5, 5, 5, 9], "[5, 5, 5, 9] has no area"),
            ([5, 9, 8, 9], "has no area"),
            ([40, 20, 10, 60], "give [10, 20, 40, 60], or [40, 20, 50, 80] if these are a corner, width and"),
            ([10, 60, 40, 20], "[10, 60, 40, 20] is not in the order left, top, right, bottom"),
            ([0, 0, 640.51, 9], "[0, 0, 640.51, 9] lies outside of the image of 640 x 480 pixels"),
            ([-1, 0, 9, 9], "outside of the image"),
            ([640.1, 0, 640.4, 9], "outside of the image"),
            ([640, 0, 640.4, 9], "outside of the image"),
            ([0, 480, 9, 480.4], "outside of the image"),
            ([0, 900, 20, 990], "outside of the image"),
            ([1.236, 0, 641, 9], "[1.24, 0, 641, 9] lies"),
            ([0, 0, 1e9, 9], "is no box"),
            ([1, 2, 3], "[1, 2, 3] is no box: give four numbers of pixels"),
            ([1, 2, 3, float("nan")], "is no box"),
            ([1, 2, 3, float("inf")], "is no box"),
            ([1, 2, 3, 10**400], "is no box"),
            (["1", 2, 3, 4], "is no box"),
            ([False, 2, 3, 4], "is no box"),
            ("1234", "is no box"),
            (None, "None is no box"),
        ],
    )
    def test_is_refused_in_one_line_with_the_remedy(self, corners: Any, problem: str) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011
            pixel_box(corners, WIDTH, HEIGHT)
        assert problem in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 200

    def test_may_be_of_two_pixels(self) -> None:
        assert pixel_box([0, 0, 2, 2], WIDTH, HEIGHT) == Box(0, 0, 0, 0)

    def test_may_be_an_image_of_one_pixel(self) -> None:
        assert pixel_box([0, 0, 1, 1], 1, 1) == Box(0, 0, 100, 100)


class TestReadCorners:
    @pytest.mark.parametrize("text", ["1,2,3,4.5", " [1, 2, 3, 4.5] ", "(1,2,3,4.5)"])
    def test_reads_four_numbers(self, text: str) -> None:
        assert read_corners(text) == [1, 2, 3, 4.5]

    @pytest.mark.parametrize("text", ["1,2,3", "1 2 3 4", "X1,2,3,4X", ""])
    def test_refuses_other_text(self, text: str) -> None:
        with pytest.raises(ValueError, match=f"^takes four numbers x0,y0,x1,y1, not '{text}'$"):
            read_corners(text)


def test_equal_corners_are_in_order() -> None:
    check_order(1, 2, 1, 2)


@pytest.mark.parametrize(
    ("size", "region", "window"),
    [
        pytest.param((200, 100), Box(0, 0, 50, 50), (0, 0, 115, 58), id="at the top left"),
        pytest.param((200, 100), Box(100, 100, 100, 100), (199, 99, 200, 100), id="the last pixel"),
        pytest.param((3, 3), Box(40, 40, 40, 40), (1, 1, 2, 2), id="at least a pixel"),
    ],
)
def test_the_window_of_a_crop(size: tuple[int, int], region: Box, window: tuple[int, int, int, int]) -> None:
    assert crop_window(Image.new("RGB", size), region) == window


def test_a_box_mapped_to_the_full_image_keeps_its_score() -> None:
    found = GroundedText("", (GroundedPhrase("it", (Box(0, 0, 50, 50, score=0.5),)),))
    mapped = to_full_image(found, Image.new("RGB", (200, 100)), Box(20, 20, 60, 60))
    assert [(box, box.score) for box in mapped.boxes] == [(Box(14, 14, 40, 40), 0.5)]


@pytest.mark.parametrize(("region", "image"), [(None, Image.new("RGB", (9, 9))), (Box(1, 2, 3, 4), None)])
def test_without_a_crop_an_answer_stays_as_it_is(region: Box | None, image: Image.Image | None) -> None:
    answer = Generation(parse("{<0><0><50><50>}"), 0.0)
    assert map_to_full_image(Request(Task.REFER, "it", region, image), answer) is answer


def test_a_region_smaller_than_a_bin_is_cropped_to_its_bin() -> None:
    assert crop(Image.new("RGB", (4000, 3000)), Box(10, 20, 10, 20)).size == (52, 39)


class TestRegionOfARequest:
    PICTURE = Image.new("RGB", (200, 100))
    REGION = Box(20, 20, 60, 60)

    def asked(self, task: Task | None, raw: str = "words") -> tuple[Generation, Request]:
        engine = Engine(raw)
        request = Request(task, "it", self.REGION, self.PICTURE)
        (answer,) = VisionLanguageModel(engine).generate([request])
        return answer, engine.requests[0]

    @pytest.mark.parametrize("task", [None, *(task for task in Task if task is not Task.IDENTIFY)])
    def test_is_cropped_for_every_task(self, task: Task | None) -> None:
        _, request = self.asked(task)
        # 20..60 of 200 columns and 20..60 of 100 rows, and 15 % of that round it.
        assert (request.region, request.image and request.image.size) == (None, (104, 52))
        assert not find_boxes(request.turns[-1].user)

    def test_is_in_the_prompt_for_identify_only(self) -> None:
        _, request = self.asked(Task.IDENTIFY)
        assert (request.region, request.image) == (self.REGION, self.PICTURE)
        assert request.turns[-1].user == "[identify] what is this {<20><20><60><60>}"

    def test_gets_boxes_of_the_full_image(self) -> None:
        answer, _ = self.asked(Task.REFER, "{<0><0><50><50>}")
        assert answer.grounded.boxes == (Box(14, 14, 40, 40),)
        model = VisionLanguageModel(Engine("<p>it</p> {<0><0><50><50>}"))
        assert model.refer(self.PICTURE, "it", self.REGION).box == Box(14, 14, 40, 40)
        assert model.detect(self.PICTURE, "it", self.REGION).phrases[0].boxes == (Box(14, 14, 40, 40),)
        assert model.ground(self.PICTURE, None, self.REGION).boxes == (Box(14, 14, 40, 40),)

    def test_is_cropped_when_streaming(self) -> None:
        engine = Engine("words")
        request = Request(Task.CAPTION, region=self.REGION, image=self.PICTURE)
        assert list(VisionLanguageModel(engine).stream(request)) == ["words"]
        assert engine.requests[0].image is not self.PICTURE

    def test_needs_an_image(self) -> None:
        with pytest.raises(ValueError, match=r"^a region needs an image: give one$"):
            VisionLanguageModel(Engine("words")).generate([Request(Task.VQA, "what?", self.REGION)])

    def test_is_refused_by_an_engine(self) -> None:
        with pytest.raises(ValueError, match="engines take no region"):
            _ = Request(Task.CAPTION, region=self.REGION, image=self.PICTURE).turns


class Engine:
    """Gives the same answer to every request; records the requests."""

    name, plans = "scripted", False

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.requests: list[Request] = []

    def generate(self, requests: Sequence[Request], _: GenerationListener | None = None) -> list[Generation]:
        self.requests += requests
        return [Generation(parse(self.raw), 0.0) for _ in requests]

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        raise NotImplementedError

    def stream(self, request: Request) -> Iterator[str]:
        self.requests.append(request)
        yield self.raw
