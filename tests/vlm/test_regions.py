from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from assistant.vlm.grounding import Box
from assistant.vlm.regions import crop, pixel_box

WIDTH, HEIGHT = 640, 480


class TestABoxInPixels:
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
    def test_is_cut_where_it_sticks_out_by_half_a_pixel(self, corners: list[float]) -> None:
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
            ([5, 5, 5, 9], "[5, 5, 5, 9] has no area"),
            ([5, 9, 8, 9], "has no area"),
            ([40, 20, 10, 60], "give [10, 20, 40, 60], or [40, 20, 50, 80] if these are a corner, width and"),
            ([10, 60, 40, 20], "[10, 60, 40, 20] is not in the order left, top, right, bottom"),
            ([0, 0, 640.51, 9], "[0, 0, 640.51, 9] lies outside of the picture of 640 x 480 pixels"),
            ([-1, 0, 9, 9], "outside of the picture"),
            ([640.1, 0, 640.4, 9], "outside of the picture"),
            ([0, 900, 20, 990], "outside of the picture"),
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
    def test_is_refused_in_one_line_that_says_what_is_wanted(self, corners: Any, problem: str) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011
            pixel_box(corners, WIDTH, HEIGHT)
        assert problem in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 200

    def test_may_be_the_whole_of_a_picture_of_one_pixel(self) -> None:
        assert pixel_box([0, 0, 1, 1], 1, 1) == Box(0, 0, 100, 100)


def test_a_thing_smaller_than_a_bin_is_looked_at_with_its_bin() -> None:
    assert crop(Image.new("RGB", (4000, 3000)), Box(10, 20, 10, 20)).size == (52, 39)
