"""Boxes and labels are drawn at the right pixels, in colours that everybody can distinguish."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
import supervision as sv
from PIL import Image, ImageColor

from assistant.vlm import drawing
from assistant.vlm.drawing import INK, PALETTE, draw, phrase_colour
from assistant.vlm.grounding import Box, GroundedPhrase, GroundedText

Pixels = npt.NDArray[np.uint8]
GREY = (120, 120, 120)
FULL = Box(0, 0, 100, 100)


def rgb(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(colour)


def phrases(*boxes: Box, text: str = "a cat") -> list[GroundedPhrase]:
    return [GroundedPhrase(text, (box,)) for box in boxes]


def drawn(grounded: GroundedText | list[GroundedPhrase], width: int = 200, height: int = 100) -> Pixels:
    """Return the pixels (height, width, 3) of a grey image with boxes and no labels."""
    return np.asarray(draw(Image.new("RGB", (width, height), GREY), grounded, labels=False))


def shows(pixels: Pixels, colour: str) -> int:
    """Return how many pixels have exactly this colour."""
    return int((pixels == rgb(colour)).all(axis=-1).sum())


@pytest.fixture
def label_places(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that collects the places of drawn labels, xyxy in pixels."""
    places: list[tuple[int, ...]] = []
    original = sv.LabelAnnotator.draw_rounded_rectangle

    def record(**arguments: object) -> object:
        places.append(tuple(int(value) for value in arguments["xyxy"]))  # type: ignore[attr-defined]
        return original(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sv.LabelAnnotator, "draw_rounded_rectangle", staticmethod(record))
    return places


# --- boxes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "y"), [(40, 40), (119, 40), (80, 20), (80, 59)])
def test_each_side_of_a_box_has_the_colour_of_its_phrase(x: int, y: int) -> None:
    pixels = drawn(phrases(Box(20, 20, 60, 60)))
    assert tuple(pixels[y, x]) == rgb(phrase_colour(0))


def test_only_the_border_and_its_dark_outline_are_drawn() -> None:
    pixels = drawn(phrases(Box(20, 20, 60, 60)))
    reach = 3
    changed = np.argwhere((pixels != GREY).any(axis=-1))
    assert (changed.min(axis=0), changed.max(axis=0)) == (
        pytest.approx((20, 40), abs=reach),
        pytest.approx((59, 119), abs=reach),
    )
    rows, columns = np.nonzero((pixels == rgb(phrase_colour(0))).all(axis=-1))
    assert (columns.min() + columns.max(), rows.min() + rows.max()) == (40 + 119, 20 + 59)
    assert (pixels[20 + reach : 60 - reach, 40 + reach : 120 - reach] == GREY).all()
    assert shows(pixels, phrase_colour(0)) + shows(pixels, INK) == len(changed)
    assert shows(pixels, INK) > 100


def test_boxes_of_one_phrase_share_its_colour_and_phrases_differ() -> None:
    first = GroundedPhrase("cats", (Box(5, 10, 20, 90), Box(30, 10, 45, 90)))
    pixels = drawn([first, GroundedPhrase("a dog", (Box(60, 10, 90, 90),))])
    assert [tuple(pixels[50, x]) for x in (10, 60, 120)] == [rgb(phrase_colour(index)) for index in (0, 0, 1)]


def test_colours_repeat_after_the_last() -> None:
    boxes = [Box(index * 10, 10, index * 10 + 8, 90) for index in range(len(PALETTE) + 1)]
    pixels = drawn(phrases(*boxes), width=400)
    assert tuple(pixels[50, 40 * len(PALETTE)]) == rgb(phrase_colour(0)) == rgb(phrase_colour(len(PALETTE)))
    assert [tuple(pixels[50, 40 * index]) for index in range(len(PALETTE))] == [rgb(c) for c in PALETTE]


def test_the_smaller_box_is_on_top_in_any_order() -> None:
    large, small = Box(10, 10, 90, 90), Box(10, 30, 40, 60)
    assert tuple(drawn(phrases(small, large))[45, 20]) == rgb(phrase_colour(0))
    assert tuple(drawn(phrases(large, small))[45, 20]) == rgb(phrase_colour(1))


def test_a_box_around_the_whole_picture_shows_all_four_sides() -> None:
    pixels = drawn(phrases(FULL))
    for side in (pixels[:3, 100], pixels[-3:, 100], pixels[50, :3], pixels[50, -3:]):
        assert shows(side, phrase_colour(0)) >= 1


@pytest.mark.parametrize("x", [0, 50, 100])
@pytest.mark.parametrize("y", [0, 50, 100])
def test_a_box_without_area_leaves_a_mark_where_it_is(x: int, y: int) -> None:
    pixels = drawn(phrases(Box(x, y, x, y)))
    rows, columns = np.nonzero((pixels == rgb(phrase_colour(0))).all(axis=-1))
    assert len(rows) >= 16
    assert abs(columns - x * 2).max() <= 10
    assert abs(rows - y).max() <= 10


def test_a_line_is_thicker_on_a_large_picture() -> None:
    small, large = (
        shows(drawn(phrases(FULL), side, side)[side // 2], phrase_colour(0)) for side in (300, 3000)
    )
    assert large >= 3 * small


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 300), (900, 2), (4096, 3072)])
def test_tiny_and_huge_pictures_keep_their_size(size: tuple[int, int]) -> None:
    result = draw(Image.new("RGB", size), phrases(FULL, Box(50, 50, 50, 50), Box(100, 0, 100, 0)))
    assert (result.size, result.mode) == (size, "RGB")


# --- the caller's image ----------------------------------------------------------------------------------


@pytest.mark.parametrize("grounded", [phrases(FULL), [], [GroundedPhrase("nothing", ())]])
def test_the_callers_picture_is_untouched_and_not_shared(grounded: list[GroundedPhrase]) -> None:
    image = Image.new("RGB", (60, 40), GREY)
    draw(image, grounded).paste((0, 0, 0), (0, 0, 60, 40))
    assert (np.asarray(image) == GREY).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_a_picture_of_another_mode_is_drawn_in_rgb(mode: str) -> None:
    result = draw(Image.new(mode, (60, 40)), phrases(FULL), labels=False)
    assert (result.mode, result.size) == ("RGB", (60, 40))
    assert shows(np.asarray(result), phrase_colour(0)) > 100


def test_nothing_grounded_gives_an_equal_picture() -> None:
    image = Image.effect_noise((60, 40), 50).convert("RGB")
    assert draw(image, GroundedText("nothing here")).tobytes() == image.tobytes()


def test_red_stays_red() -> None:
    result = draw(Image.new("RGB", (60, 40), (255, 0, 0)), phrases(Box(80, 80, 90, 90)), labels=False)
    assert result.getpixel((5, 5)) == (255, 0, 0)


def test_a_grounded_text_is_drawn_like_its_phrases() -> None:
    image = Image.new("RGB", (200, 100), GREY)
    found = phrases(Box(20, 20, 60, 60))
    assert draw(image, GroundedText("a cat", tuple(found))).tobytes() == draw(image, found).tobytes()


# --- labels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "score", "label"),
    [
        ("a cat", None, "a cat"),
        ("a cat", 0.834, "a cat 83%"),
        ("", 0.5, "50%"),
        ("", None, "7"),
        (" \n ", None, "7"),
        ("two\nlines\tof  text", None, "two lines of text"),
        ("ab\x00\x1b[31m", None, "ab[31m"),
        ("\ud800", None, "7"),
        ("x" * 200, None, "x" * 59 + "…"),
    ],
)
def test_a_label_says_the_phrase_and_the_score_or_else_the_number(
    text: str, score: float | None, label: str
) -> None:
    assert drawing._label(text, score, 7).replace("\N{NO-BREAK SPACE}", " ") == label


def test_a_label_is_drawn_in_the_colour_of_its_phrase_with_dark_text(
    label_places: list[tuple[int, ...]],
) -> None:
    image = Image.new("RGB", (400, 300), GREY)
    bare, labelled = (
        np.asarray(draw(image, phrases(Box(20, 40, 60, 90)), labels=on)) for on in (False, True)
    )
    ((x0, y0, x1, y1),) = label_places
    plate = labelled[y0:y1, x0:x1]
    assert shows(plate, phrase_colour(0)) > plate[..., 0].size / 2
    assert (plate.sum(axis=-1) < 150).sum() > 20
    outside = np.ones((300, 400), dtype=bool)
    outside[y0 : y1 + 1, x0 : x1 + 1] = False
    assert np.array_equal(bare[outside], labelled[outside])


def test_a_label_is_above_its_box_if_there_is_room(label_places: list[tuple[int, ...]]) -> None:
    draw(Image.new("RGB", (400, 300)), phrases(Box(20, 40, 60, 90)))
    ((x0, _, _, y1),) = label_places
    assert (x0, y1) == (80, 120)


@pytest.mark.parametrize(
    "boxes",
    [
        [FULL] * 4,
        [Box(0, 0, 20, 40), Box(2, 0, 90, 100), Box(4, 0, 30, 30)],
        [Box(95, 95, 100, 100), Box(96, 90, 100, 100), Box(90, 96, 100, 100)],
    ],
)
def test_labels_stay_in_the_picture_and_off_one_another(
    boxes: list[Box], label_places: list[tuple[int, ...]]
) -> None:
    draw(Image.new("RGB", (600, 400)), phrases(*boxes, text="a longer phrase"))
    assert len(label_places) == len(boxes)
    assert all(0 <= x0 < x1 <= 600 and 0 <= y0 < y1 <= 400 for x0, y0, x1, y1 in label_places)
    for (a0, b0, a1, b1), (c0, d0, c1, d1) in itertools.combinations(label_places, 2):
        assert min(a1, c1) - max(a0, c0) <= 1 or min(b1, d1) - max(b0, d0) <= 1, "more than touching"


def test_a_label_does_not_hide_a_small_box_next_to_its_own(label_places: list[tuple[int, ...]]) -> None:
    draw(Image.new("RGB", (600, 400)), phrases(Box(20, 40, 80, 90), Box(22, 36, 24, 39)))
    (x0, y0, x1, y1) = label_places[0]
    assert x0 > 144 or x1 < 132 or y0 > 156 or y1 < 144


@pytest.mark.parametrize(
    "text",
    [
        "café é",
        "шлем",
        "头盔",
        "עברית العربية",
        "😀",
        "\ud800",
        "\x00\x07",
        "x" * 5000,
        "{<1><2><3>}",
        "%s %d",
    ],
)
def test_a_label_in_any_writing_is_drawn(text: str) -> None:
    result = draw(Image.new("RGB", (300, 200), GREY), phrases(Box(20, 40, 80, 90), text=text))
    assert shows(np.asarray(result), phrase_colour(0)) > 400


def test_letters_of_other_writings_are_not_all_the_same() -> None:
    pictures = [
        draw(Image.new("RGB", (300, 200)), phrases(Box(20, 40, 80, 90), text=text)).tobytes()
        for text in ("头", "盔", "ш", "л", "é", "?")
    ]
    assert len(set(pictures)) == len(pictures)


def test_a_thousand_boxes_are_drawn() -> None:
    numbers = np.random.default_rng(0).integers(0, 101, (1000, 2, 2))
    boxes = [Box(*map(int, (*pair.min(axis=0), *pair.max(axis=0)))) for pair in numbers]
    result = draw(Image.new("RGB", (640, 480)), phrases(*boxes))
    assert all(
        shows(np.asarray(result), phrase_colour(index)) for index in range(len(boxes) - 10, len(boxes))
    )


# --- colours ---------------------------------------------------------------------------------------------

SIGHTS = {  # simulations by Machado, Oliveira and Fernandes (2009), on linear RGB
    "normal": np.eye(3),
    "no red cones": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green cones": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue cones": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def linear(colours: tuple[str, ...]) -> npt.NDArray[np.float64]:
    values = np.array([rgb(colour) for colour in colours]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return CIE L*a*b* of linear sRGB colours (N, 3)."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = np.clip(colours, 0, 1) @ to_xyz.T / (0.9505, 1.0, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_are_distinguishable(sight: str) -> None:
    seen = lab(linear(PALETTE) @ np.array(SIGHTS[sight]).T)
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 20


@pytest.mark.parametrize("colour", PALETTE)
def test_label_text_is_readable_on_every_colour(colour: str) -> None:
    light, dark = linear((colour, INK)) @ (0.2126, 0.7152, 0.0722) + 0.05
    assert light / dark > 4.5


def test_importing_the_room_imports_no_renderer() -> None:
    program = "import sys, assistant.ui; sys.exit('supervision' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
