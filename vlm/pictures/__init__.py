"""Open any image file as an upright RGB image."""

from __future__ import annotations

from .formats import FORMATS
from .opening import (
    FILE_LIMIT,
    LONG_SIDE,
    PIXEL_LIMIT,
    SIDE_LIMIT,
    Picture,
    Source,
    as_seen,
    open_picture,
)

__all__ = [
    "FILE_LIMIT",
    "FORMATS",
    "LONG_SIDE",
    "PIXEL_LIMIT",
    "SIDE_LIMIT",
    "Picture",
    "Source",
    "as_seen",
    "open_picture",
]
