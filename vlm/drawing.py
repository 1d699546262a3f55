"""Draw grounded text on an image: one colour per phrase, a label on every box.

The only module that draws boxes: the command line, the MCP server, the page's export and results in
notebooks use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import supervision as sv  # of the extra `drawing`
from PIL import Image

from .grounding import GroundedPhrase, GroundedText

PALETTE = ("#f7f614", "#49daff", "#f17343", "#13aa7f", "#ffbac6", "#a581ff", "#aeff8a", "#eba103")
"""Colours of phrases, `#rrggbb`. Distinguishable with normal and with each kind of colour-blind vision, and
light enough for dark text (contrast of at least 6 with `INK`)."""
INK = "#14161a"
"""Colour of label text, and of the outline that keeps boxes visible on bright images."""

_LABEL_CHARACTERS = 60
_LINE_CHARACTERS = 30
_SMALLEST_TEXT = 0.38

Floats = npt.NDArray[np.float32]


def phrase_colour(index: int) -> str:
    """Return the colour `#rrggbb` of the phrase at `index` in reading order; the palette repeats."""
    return PALETTE[index % len(PALETTE)]


def draw(
    image: Image.Image, grounded: GroundedText | Sequence[GroundedPhrase], *, labels: bool = True
) -> Image.Image:
    """Return a copy of `image` in RGB, of the same size, with every box drawn on it.

    A label shows the phrase and, if known, the box's score in percent; boxes with neither are numbered in
    reading order. The smallest boxes are on top.
    """
    phrases = grounded.phrases if isinstance(grounded, GroundedText) else tuple(grounded)
    if not any(phrase.boxes for phrase in phrases):
        return image.convert("RGB")  # Pillow copies here, even from RGB
    thickness = max(sv.calculate_optimal_line_thickness(image.size), round(min(image.size) / 300))
    detections = _detections(phrases, image.size, thickness)
    scene = sv.pillow_to_cv2(image.convert("RGB"))  # once for all annotators: the conversion is slow
    sv.BoxAnnotator(sv.Color.from_hex(INK), thickness + 2).annotate(scene, detections)
    sv.BoxAnnotator(_colours(), thickness).annotate(scene, detections)
    if labels:
        _Labels(image.size, detections).annotate(scene, detections)
    return sv.cv2_to_pillow(scene)


def _colours() -> sv.ColorPalette:
    return sv.ColorPalette.from_hex(list(PALETTE))


# --- boxes -----------------------------------------------------------------------------------------------


def _detections(phrases: Sequence[GroundedPhrase], size: tuple[int, int], thickness: int) -> sv.Detections:
    """Return all boxes, largest first: xyxy in pixels, phrase index as class id, label as class name."""
    boxes = [(index, phrase.text, box) for index, phrase in enumerate(phrases) for box in phrase.boxes]
    names = [_label(text, box.score, number) for number, (_, text, box) in enumerate(boxes, start=1)]
    corners = np.array([box.to_pixels(*size) for _, _, box in boxes], dtype=np.float32)
    largest_first = np.argsort([-box.area for _, _, box in boxes], kind="stable")
    return sv.Detections(
        xyxy=_visible(corners, size, thickness)[largest_first],
        class_id=np.array([index for index, _, _ in boxes])[largest_first],
        data={"class_name": np.array(names)[largest_first]},
    )


def _visible(corners: Floats, size: tuple[int, int], thickness: int) -> Floats:
    """Round boxes (N, 4), xyxy in pixels, to whole pixels such that lines of `thickness` are visible.

    A box ends at its last pixel, empty boxes grow to a visible mark, and lines at the edge of the image move
    inside.
    """
    margin = thickness // 2
    last = np.maximum(np.array(size) - 1 - margin, 0)
    first = np.minimum(margin, last)
    low, high = (np.clip(edge.round(), first, last) for edge in (corners[:, :2], corners[:, 2:] - 1))
    sides = np.maximum(high - low, np.minimum(3 * thickness, last - first))
    low = np.clip(((low + high - sides) / 2).round(), first, last - sides)
    return np.hstack([low, low + sides]).astype(np.float32)


# --- labels ----------------------------------------------------------------------------------------------


def _label(text: str, score: float | None, number: int) -> str:
    text = "".join(character for character in " ".join(text.split()) if character.isprintable())
    if len(text) > _LABEL_CHARACTERS:
        text = text[: _LABEL_CHARACTERS - 1].rstrip() + "…"
    percent = "" if score is None else f"{score:.0%}"
    return "\N{NO-BREAK SPACE}".join(part for part in (text, percent) if part) or str(number)


class _Labels(sv.LabelAnnotator):
    """Places labels next to their boxes, inside the image, where they cover the least.

    Supervision's `smart_position` pushes labels apart past the image's edge and then clips them back on top
    of each other, so this class overrides the hook that does it.
    """

    def __init__(self, size: tuple[int, int], detections: sv.Detections) -> None:
        scale = max(_SMALLEST_TEXT, sv.calculate_optimal_text_scale(size))
        super().__init__(
            color=_colours(),
            text_color=sv.Color.from_hex(INK),
            text_scale=scale,
            text_thickness=max(1, round(scale * 1.5)),
            text_padding=round(2 + 8 * scale),
            border_radius=round(2 + 4 * scale),
            smart_position=True,
            max_line_length=_LINE_CHARACTERS,
        )
        self._boxes = detections.xyxy.astype(np.float32)

    def _adjust_labels_in_frame(
        self, resolution_wh: tuple[int, int], labels: list[str], label_properties: Any
    ) -> Any:
        places = label_properties.copy()
        for index in range(len(labels)):
            width, height = label_properties[index, 2:4] - label_properties[index, :2]
            candidates = _places(self._boxes[index], (width, height), resolution_wh)
            hidden = _covered(candidates, self._boxes).sum(axis=1)
            hidden += 3 * _covered(candidates, places[:index, :4]).sum(axis=1)
            places[index, :4] = candidates[np.argmin(hidden + 0.02 * np.arange(len(candidates)))]
        return places


def _places(box: Floats, label: tuple[float, float], size: tuple[int, int]) -> Floats:
    """Return candidate places for a label (width, height), best first: (8, 4), xyxy in pixels."""
    (x0, y0, x1, y1), (width, height) = box, label
    starts = np.array(
        [
            (x0, y0 - height),
            (x1 - width, y0 - height),
            (x0, y1),
            (x1 - width, y1),
            (x0, y0),
            (x0, y1 - height),
            (x1, y0),
            (x0 - width, y0),
        ]
    )
    starts = np.clip(starts, 0, np.maximum(np.array(size) - label, 0))
    return np.hstack([starts, starts + label]).astype(np.float32)


def _covered(covers: Floats, boxes: Floats) -> Floats:
    """Return the fraction 0..1 of each box (M, 4) covered by each cover (N, 4), as (N, M)."""
    low = np.maximum(covers[:, None, :2], boxes[None, :, :2])
    high = np.minimum(covers[:, None, 2:], boxes[None, :, 2:])
    sides = np.maximum(high - low, 0)
    overlap = sides[..., 0] * sides[..., 1]
    shares: Floats = overlap / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1)
    return shares
