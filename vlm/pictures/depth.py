"""Decode 16-bit colours, of which Pillow keeps only the high bytes.

That is enough for a photo, but makes the values 0 to 1000 of a 12-bit camera black. The low bytes are decoded
by reading the file again in the other byte order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageChops, ImageFile

from ..errors import ImageError
from .formats import identify

# Of a high byte. An image without a brighter colour uses less than half of the range.
_DARK = 128
# Rows combined at once, which bounds the memory.
_ROWS = 512

_BITS_PER_SAMPLE, _PLANES = 258, 284
_ORDERS = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_OTHER_ORDER = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX", "R", "G", "B", "A")
    for order, other in _ORDERS.items()
}
# Grey and alpha: four bytes a pixel, the low ones second and fourth.
_OTHER_ORDER["LA;16B"] = "RGBA"


def correct_planes(opened: ImageFile.ImageFile) -> None:
    """Correct the decoder of a TIFF with one plane per colour, which Pillow reads as 8-bit.

    Raises:
        ImageError: there is no decoder for its planes.
    """
    tags: Any = getattr(opened, "tag_v2", {})
    if tags.get(_PLANES) != 2 or max(tags.get(_BITS_PER_SAMPLE, (1,))) != 16:
        return
    suffix = ";16B" if tags.prefix == b"MM" else ";16"
    for index, tile in enumerate(opened.tile):
        band = _raw_mode(tile)
        if tile.codec_name != "raw" or band not in "RGBAI":
            raise ImageError("images of this kind cannot be opened (16-bit planes); save it as PNG")
        order = "L" if suffix == ";16" and band != "I" else ""
        opened.tile[index] = _with_raw_mode(tile, f"{band}{suffix}{order}")


def in_sixteen_bits(opened: ImageFile.ImageFile, content: bytes) -> tuple[Image.Image, list[str]]:
    """Return an image whose dark 16-bit colours are brightened, and notes; another image as it is, unloaded.

    `opened` is the image that `identify` returned for `content`. The brightest value becomes white, so that
    hues stay; alpha is left alone. The transparent colour of a PNG is applied to both bytes.
    """
    if opened.mode == "RGB" and opened.tile and opened.tile[0].codec_name == "ppm":
        return _plain_map(opened, content)
    if not opened.tile or _raw_mode(opened.tile[0]) not in _OTHER_ORDER:
        return opened, []
    opened.load()
    key = opened.info.pop("transparency", None)  # of 16 bits, which Pillow compares with 8-bit colours
    dark = max(high for _, high in _colours(opened.getextrema())) < _DARK
    if not (dark or isinstance(key, tuple)):
        return opened, []
    low = _low_bytes(content)
    image = Image.merge(opened.mode, opened.split())  # not a file any more, but with the same metadata
    image.info = dict(opened.info)
    mask = _mask(image, low, key) if isinstance(key, tuple) else None
    brightest = max(_brightest(*strips) for strips in _strips(image, low))
    notes = []
    if dark and brightest:
        _brighten(image, low, brightest)
        notes = [f"values 0 to {brightest} shown from black to white"]
    if mask:
        image.putalpha(mask)
    return image, notes


def _plain_map(opened: ImageFile.ImageFile, content: bytes) -> tuple[Image.Image, list[str]]:
    """Return a PPM of 16 bits, which Pillow reads pixel by pixel in Python; another one as it is."""
    import numpy as np  # here, so that storage starts without it

    tile: Any = opened.tile[0]
    white: int = tile.args[-1]
    if white < 256:
        return opened, []
    values = np.frombuffer(content, ">u2", opened.width * opened.height * 3, tile.offset)
    brightest = int(values.max())
    dark = 0 < brightest < white / 2
    scale = 255 / (brightest if dark else white)
    image = Image.new("RGB", opened.size)
    for number, strip in enumerate(
        np.split(values.reshape(opened.height, opened.width, 3), range(_ROWS, opened.height, _ROWS))
    ):
        scaled = (strip * np.float32(scale) + 0.5).clip(0, 255).astype(np.uint8)
        image.paste(Image.fromarray(scaled), (0, number * _ROWS))
    return image, [f"values 0 to {brightest} shown from black to white"] if dark else []


def _raw_mode(tile: Any) -> str:
    args = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return args if isinstance(args, str) else ""


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    return tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)


def _low_bytes(content: bytes) -> Image.Image:
    again = identify(content)
    correct_planes(again)
    grey = _raw_mode(again.tile[0]).startswith("LA")
    again.tile = [_with_raw_mode(tile, _OTHER_ORDER[_raw_mode(tile)]) for tile in again.tile]
    again.load()
    if not grey:
        return again
    _, value, _, alpha = again.split()
    return Image.merge("RGBA", (value, value, value, alpha))


def _colours(bands: Any) -> Any:
    return bands[:3]


def _strips(image: Image.Image, low: Image.Image) -> Iterator[tuple[Image.Image, Image.Image]]:
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        yield image.crop(box), low.crop(box)


def _brightest(high: Image.Image, low: Image.Image) -> int:
    """Return the largest 16-bit value of a colour."""
    largest = 0
    for above, below in zip(_colours(high.split()), _colours(low.split()), strict=True):
        most = above.getextrema()[1]
        counts = below.histogram(above.point(lambda value, most=most: 255 * (value == most)))
        largest = max(largest, 256 * most + max(value for value, count in enumerate(counts) if count))
    return largest


def _brighten(image: Image.Image, low: Image.Image, brightest: int) -> None:
    """Scale the colours in place, so that `brightest` becomes 255."""
    scale = 255 / brightest
    keep, drop = list(range(256)), [0] * 256
    of_high = [min(255, round(value * 256 * scale)) for value in range(256)]
    of_low = [round(value * scale) for value in range(256)]
    alpha = "A" in image.getbands()
    for number, (above, below) in enumerate(_strips(image, low)):
        scaled = above.point(of_high * 3 + keep * alpha), below.point(of_low * 3 + drop * alpha)
        image.paste(ImageChops.add(*scaled), (0, number * _ROWS))


def _mask(high: Image.Image, low: Image.Image, key: tuple[int, ...]) -> Image.Image:
    """Return 0 where a pixel has the key colour, else 255."""
    mask = Image.new("L", high.size)
    bands = zip(_colours(high.split()), _colours(low.split()), key, strict=True)
    for above, below, value in bands:
        for band, byte in ((above, value >> 8), (below, value & 255)):
            mask = ImageChops.lighter(mask, band.point(lambda it, byte=byte: 255 * (it != byte)))
    return mask
