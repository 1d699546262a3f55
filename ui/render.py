"""Draw grounded text on a picture: one colour a phrase, a label on every box.

The only place where boxes become pixels of a drawing; the command line and the page both use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..vlm.grounding import GroundedPhrase, GroundedText

PALETTE = ("#ffd400", "#00c2ff", "#ff5ac8", "#3ddc68", "#ff8a1f", "#a98bff", "#ff4d4d", "#b8f2e6")
"""Colours of phrases, `#rrggbb`, in order; a ninth phrase gets the first again."""


def phrase_colour(index: int) -> str:
    """Return the colour `#rrggbb` of the phrase at `index` in reading order."""
    return PALETTE[index % len(PALETTE)]


def draw(
    image: Image.Image, grounded: GroundedText | Sequence[GroundedPhrase], *, labels: bool = True
) -> Image.Image:
    """Return a copy of `image`, of the same size and mode RGB, with the boxes drawn on it."""
    raise NotImplementedError
