"""Convert an image to 8-bit sRGB without transparency."""

from __future__ import annotations

import functools
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from ..errors import ImageError

# Pillow's mode for each colour space of a profile.
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_SIXTEEN_BITS = 65535.0
_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339
# A profile that changes no colour by more than this, of 255, is ignored: most are sRGB.
_INVISIBLE = 2


def in_rgb(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, list[str]]:
    """Return a loaded image in sRGB and `size` pixels, as a new image without metadata, and notes."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image, notes = _eight_bits(image, size)
    else:
        image, notes = _reduce(_averageable(image, size), size, Image.Resampling.LANCZOS), []
    image, more = _in_srgb(image, profile)
    image, last = _on_white(image)
    image.info = {}  # otherwise its orientation and profile would be applied again
    return image, notes + more + last


def _reduce(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, how)


def _averageable(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image without palette indices and key colours, which cannot be averaged."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" and image.size != size else image


def _eight_bits(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, list[str]]:
    """Scale 16-bit values, integers or floats to 0..255, from the smallest to the largest."""
    clear = image.info.get("transparency")
    inverted = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0  # a TIFF whose 0 is white
    image = _unsigned(image)
    mask = None
    if isinstance(clear, int):
        opaque = Image.fromarray(np.asarray(image) != clear).convert("L")
        mask = _reduce(opaque, size, Image.Resampling.BOX)
    small = _reduce(image, size, Image.Resampling.BOX)  # averages stay within the range
    values = np.asarray(small.convert("F"))
    counted = values if mask is None else values[np.asarray(mask) > 0]
    low, high = _range(counted if counted.size else values)
    whole = image.mode.startswith("I")
    if whole and low == high and 0 <= low <= _SIXTEEN_BITS:
        low, high = 0.0, _SIXTEEN_BITS
    notes = [f"values {low:g} to {high:g} shown from black to white"]
    if whole and (low, high) == (0.0, _SIXTEEN_BITS):
        notes = []
    scale = 255.0 / (high - low) if high > low else 0.0
    grey = Image.fromarray(((values - low) * scale + 0.5).clip(0, 255).astype(np.uint8))
    if inverted:
        grey = ImageChops.invert(grey)
    if mask is not None:
        grey.putalpha(mask)
    return grey, notes


def _unsigned(image: Image.Image) -> Image.Image:
    """Return a TIFF of large unsigned values, which Pillow reads as negative, in floats; others unchanged."""
    tags: Any = getattr(image, "tag_v2", None)
    if image.mode != "I" or tags is None or tags.get(_SAMPLE_FORMAT, (1,)) not in (1, (1,)):
        return image
    if np.asarray(image).min() >= 0:
        return image
    return Image.fromarray(np.asarray(image).view(np.uint32).astype(np.float32))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        raise ImageError("it holds values that are not numbers; save it as 8-bit PNG")
    return low, high


# --- colour profiles -------------------------------------------------------------------------------------


def _in_srgb(image: Image.Image, profile: Any) -> tuple[Image.Image, list[str]]:
    """Convert the image from its colour profile to sRGB."""
    if image.mode == "LAB":
        return _transform(ImageCms.createProfile("LAB"), "LAB").apply(image), []
    if not isinstance(profile, bytes) or not profile:
        return image, []
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    colours = image.convert(image.mode.removesuffix("A")) if alpha else image
    try:
        seen = _apply(colours, profile)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, ["its colour profile does not fit it and is left out"]
    if seen is colours:
        return image, []
    if alpha:
        seen.putalpha(alpha)
    return seen, []


def _apply(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image in sRGB, or itself if the profile makes no visible change."""
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    mode = _SPACES.get(opened.profile.xcolor_space.strip())
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if image.mode != mode:
        raise ValueError(f"a profile for {mode}, an image in {image.mode}")
    transform = _transform(opened, mode)
    if mode == "RGB":
        samples = _samples()
        changes = np.asarray(ImageChops.difference(samples, transform.apply(samples)))
        if changes.max() <= _INVISIBLE:
            return image
    return transform.apply(image)


def _transform(profile: Any, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")


@functools.cache
def _samples() -> Image.Image:
    """Return sample colours from the whole RGB cube, 51 apart."""
    return Image.frombytes(
        "RGB", (216, 1), bytes(value for colour in product(range(0, 256, 51), repeat=3) for value in colour)
    )


def _on_white(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return a new RGB image, with transparency composited on white."""
    if not image.has_transparency_data:
        return image.convert("RGB"), []
    layer = image.convert("RGBA")
    if layer.getchannel("A").getextrema() == (255, 255):
        return layer.convert("RGB"), []
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB"), ["transparency shown on white"]
