"""Pictures of 16-bit colours are as bright as those of 8 bits; rare kinds of TIFF files are read right."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from assistant.vlm.errors import ImageError
from assistant.vlm.pictures import Picture, open_picture

# Red grows, green falls, blue stays: each pixel shows a scale or a byte order that is wrong.
RAMP = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 40)], axis=-1)[None].repeat(600, axis=0)
TIFF_COMPRESSIONS = {"raw": 1, "lzw": 5, "deflate": 8}
LITTLE = "<"


def values(brightest: int) -> np.ndarray:
    """Return the ramp in 16 bits, with one darkest and one brightest value."""
    return np.round(RAMP * (brightest / 255)).astype(np.uint16)


def encoded(array: np.ndarray, form: str) -> bytes:
    """Encode RGB, RGBA or grey values of 16 bits, which Pillow cannot."""
    colours = array if array.ndim == 2 else array[..., [2, 1, 0, *range(3, array.shape[2])]]
    ending, _, compression = form.partition(" ")
    options = [cv2.IMWRITE_TIFF_COMPRESSION, TIFF_COMPRESSIONS[compression]] if compression else []
    done, content = cv2.imencode(f".{ending}", colours, options)
    assert done
    return content.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(array: np.ndarray, colour_type: int, *more: bytes) -> bytes:
    """Write a PNG of 16 bits with more chunks."""
    height, width = array.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)
    end = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + end


def tiff(planes: list[np.ndarray], order: str, **tags: int) -> bytes:
    """Write a TIFF with one strip a plane; `planar` (2 for planes) and `photometric` are its tags."""
    height, width = planes[0].shape
    strips = [
        plane.astype(plane.dtype.newbyteorder("<" if order == LITTLE else ">")).tobytes() for plane in planes
    ]
    directory = ImageFileDirectory_v2(prefix=b"II" if order == LITTLE else b"MM")
    directory[256], directory[257], directory[259] = width, height, 1
    directory[258] = (planes[0].dtype.itemsize * 8,) * len(planes)
    directory[262] = tags.get("photometric", 2 if len(planes) > 1 else 1)
    directory[277], directory[278], directory[284] = len(planes), height, tags.get("planar", 1)
    directory[339] = (3 if planes[0].dtype.kind == "f" else 1,) * len(planes)
    directory[279] = tuple(map(len, strips))
    if "subfile" in tags:
        directory[254] = tags["subfile"]
    directory[273] = tuple(sum(map(len, strips[:index])) for index in range(len(strips)))  # from its end
    buffer = io.BytesIO()
    directory.save(buffer)
    return buffer.getvalue() + b"".join(strips)


def difference(picture: Picture, wanted: np.ndarray) -> int:
    return int(np.abs(np.asarray(picture.image).astype(int) - wanted).max())


@pytest.mark.parametrize("brightest", [1000, 4095, 16383, 30000])
@pytest.mark.parametrize("form", ["png", "ppm", "tiff raw", "tiff lzw", "tiff deflate"])
def test_dark_colours_are_brightened_and_a_note_says_so(form: str, brightest: int) -> None:
    picture = open_picture(encoded(values(brightest), form))
    assert difference(picture, RAMP) <= 1
    assert picture.notes == (f"values 0 to {brightest} shown from black to white",)


@pytest.mark.parametrize("form", ["png", "ppm", "tiff raw", "tiff lzw"])
def test_colours_that_use_the_range_stay_as_they_are(form: str) -> None:
    picture = open_picture(encoded(values(65535), form))
    assert difference(picture, RAMP) <= 1
    assert picture.notes == ()


@pytest.mark.parametrize("form", ["png", "tiff raw", "tiff lzw"])
def test_black_stays_black(form: str) -> None:
    picture = open_picture(encoded(np.zeros((4, 4, 3), np.uint16), form))
    assert not np.asarray(picture.image).any()
    assert picture.notes == ()


@pytest.mark.parametrize("form", ["png", "tiff raw", "tiff lzw"])
def test_what_is_transparent_stays_so_in_dark_colours(form: str) -> None:
    alpha = np.full((*RAMP.shape[:2], 1), 65535, np.uint16)
    alpha[300:] = 0
    picture = open_picture(encoded(np.concatenate([values(1000), alpha], axis=-1), form))
    assert difference(picture, np.where(alpha > 0, RAMP, 255)) <= 1
    assert picture.notes[-1] == "transparency shown on white"


def test_grey_with_transparency_is_brightened_too() -> None:
    grey = np.stack([values(1000)[..., 0], np.full(RAMP.shape[:2], 65535)], axis=-1)
    picture = open_picture(png(grey, 4))
    assert difference(picture, RAMP[..., :1]) <= 1


@pytest.mark.parametrize("brightest", [1000, 65535])
def test_the_transparent_colour_of_a_png_has_16_bits(brightest: int) -> None:
    array = values(brightest)
    array[100:] = key = (brightest, 500, 3)
    array[200:] = (brightest, 500, 4)  # differs in a low byte
    picture = open_picture(png(array, 2, chunk(b"tRNS", struct.pack(">3H", *key))))
    seen = np.asarray(picture.image)
    assert (seen[100:200] == 255).all()
    assert (seen[200:] != 255).any(axis=-1).all()


def test_a_dark_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png(values(1000), 2, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    picture = open_picture(content)
    assert picture.image.size == (600, 256)
    assert difference(picture, np.rot90(RAMP, -1)) <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("brightest", [1000, 65535])
def test_planes_of_16_bits_are_colours(order: str, brightest: int) -> None:
    planes = [values(brightest)[..., band] for band in range(3)]
    assert difference(open_picture(tiff(planes, order, planar=2)), RAMP) <= 1


@pytest.mark.parametrize("order", "<>")
def test_one_plane_of_16_bits_is_grey(order: str) -> None:
    picture = open_picture(tiff([values(65535)[..., 0]], order, planar=2))
    assert difference(picture, RAMP[..., :1]) <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_tiff_whose_0_is_white_is_no_negative(kind: type) -> None:
    picture = open_picture(tiff([values(1000)[..., 0].astype(kind)], LITTLE, photometric=0))
    assert difference(picture, 255 - RAMP[..., :1]) <= 1


def test_the_preview_of_a_raw_file_is_not_taken_for_the_photo() -> None:
    with pytest.raises(ImageError, match="raw file; export it as JPEG"):
        open_picture(tiff([np.zeros((4, 4), np.uint8)], LITTLE, subfile=1))
