"""Qwen's vision-language models.

Qwen2.5-VL writes `[{"bbox_2d": [x0, y0, x1, y1], "label": "…"}]` in pixels of its resized image: both
sides multiples of 28, with a bounded area (its technical report, arXiv 2502.13923, and the `smart_resize` of
its processor). An image sent in such a size is not resized again, so its pixels are known.
Qwen3-VL writes the same in thousandths of the sides (its cookbooks for 2D grounding). Qwen2-VL wrote
`<|box_start|>(x0,y0),(x1,y1)<|box_end|>` in thousandths (arXiv 2409.12191).
"""

from __future__ import annotations

import re

from .base import Dialect, within
from .json_boxes import Form

_PIXELS = Form("bbox_2d", "in pixels of the image", scale=None)
_THOUSANDTHS = Form("bbox_2d", "in coordinates from 0 to 1000 relative to the image")
# The side of a merged patch, and an area that every known server accepts without resizing.
_MULTIPLE = 28
_MOST_PIXELS = 1280 * _MULTIPLE * _MULTIPLE

QWEN2_5_VL = Dialect(
    name="qwen2.5-vl",
    model_names=re.compile(r"qwen[-_ ]?2[.p]5[-_ ]?(?:vl|omni)|ui-?tars-?1\.5", re.IGNORECASE),
    ask=_PIXELS.ask,
    read=_PIXELS.read,
    sizes=within(2240, multiple_of=_MULTIPLE, pixels=_MOST_PIXELS),
)
QWEN3_VL = Dialect(
    name="qwen3-vl",
    model_names=re.compile(r"qwen[-_ ]?(?:2[-_ ]?vl|(?:[3-9]|\d\d)(?:\.\d)?)", re.IGNORECASE),
    ask=_THOUSANDTHS.ask,
    read=_THOUSANDTHS.read,
    sizes=within(1536),
)
