"""Whatever bytes are taken for a picture, one opens or is refused in one line, quickly and in silence."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.storage.images import read
from assistant.vlm.errors import ImageError
from assistant.vlm.pictures import LONG_SIDE, open_picture

from .lengths import fuzzed
from .mutations import damaged

CPU_SECONDS = 20
"""Far more than any of these small files may take, on a slow machine as well."""


def noise(seed: int = 0) -> Image.Image:
    """Return the same grains of grey each time, so that an input that failed can be tried again."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (17, 24), dtype=np.uint8))


def encoded(form: str, mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = noise().convert(mode)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    animated = {"save_all": True, "append_images": [noise(1), noise(2)]}
    return [
        encoded("JPEG", "RGB", exif=exif),
        encoded("JPEG", "CMYK", progressive=True),
        encoded("MPO", "RGB", **animated),
        encoded("PNG", "RGBA", exif=exif),
        encoded("PNG", "P", transparency=3),
        encoded("PNG", "I;16"),
        encoded("PNG", "RGB", **animated),
        encoded("WEBP", "RGBA", lossless=True, exif=exif),
        encoded("WEBP", "RGB", **animated),
        encoded("GIF", "P", **animated),
        encoded("AVIF", "RGB", exif=exif),
        *(encoded("TIFF", "RGB", compression=name) for name in ("raw", "tiff_lzw", "jpeg", "tiff_deflate")),
        encoded("TIFF", "F"),
        encoded("TIFF", "1", compression="group4"),
        encoded("BMP", "RGB"),
        encoded("BMP", "P"),
        encoded("PPM", "RGB"),
        b"P3 # made by hand\n2 2 255\n" + b"1 20 255 " * 4,
        b"P1 4 2\n01100110",
    ]


@pytest.fixture(autouse=True)
def _nothing_is_printed_or_warned(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert capfd.readouterr() == ("", "")


@fuzzed
@given(st.one_of(damaged(st.sampled_from(seeds())), st.binary(max_size=300)))
def test_damaged_pictures_open_or_are_refused_in_one_line(content: bytes) -> None:
    began = time.thread_time()
    measured = opened = refusal = None
    with contextlib.suppress(ImageError):
        _, stored = read(content)
        measured = stored.format, stored.width, stored.height
    try:
        picture = open_picture(content)
    except ImageError as error:
        refusal = str(error)
        assert "\n" not in refusal
        assert "; " in refusal, "a remedy follows what is wrong"
    else:
        assert picture.image.mode == "RGB"
        assert 1 <= max(picture.image.size) <= LONG_SIDE
        opened = picture.format, picture.width, picture.height
    assert measured == opened, refusal
    assert time.thread_time() - began < CPU_SECONDS
