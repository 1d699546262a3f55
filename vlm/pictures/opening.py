"""Open any image file as an upright RGB image, or fail with one clear line.

This module alone applies a file's display metadata and colour mode (EXIF orientation, colour profile,
palette, transparency, 16-bit values, CMYK). It changes no setting of Pillow and prints nothing.
"""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard

from PIL import Image

from ..errors import ImageError
from .depth import correct_planes, in_sixteen_bits
from .formats import identify, unsupported

if TYPE_CHECKING:
    import numpy as np

Source: TypeAlias = "str | Path | bytes | bytearray | BinaryIO | Image.Image | np.ndarray[Any, Any] | Picture"
"""Anything that opens as an image."""

PIXEL_LIMIT = 178_956_970
"""Images of more pixels are refused before decoding (13377 x 13377; Pillow's own hard limit)."""
SIDE_LIMIT = 65_535
"""Images of more pixels on a side are refused (the maximum of JPEG)."""
FILE_LIMIT = 256 * 1024**2
"""Files of more bytes are refused."""
LONG_SIDE = 4096
"""Larger images are reduced to this many pixels on their longer side."""

_TOO_MANY_PIXELS = f"it has more than {PIXEL_LIMIT // 10**6} million pixels; save it smaller"
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PAGES = {
    "TIFF": "several pages: the first of {} is used",
    "HEIF": "several images: the main one of {} is used",
}
_ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """An image as a person sees it.

    `image` is RGB, upright, and at most `LONG_SIDE` pixels long. `width` and `height` are the upright size of
    the file's image in pixels, larger than `image.size` if it was reduced. Boxes are relative, so they fit
    both. `sha256` is that of the file's bytes, or of the RGB pixels of an image in memory; `format` is
    Pillow's name ("JPEG"), or "memory"; `content` is the file's bytes, if any; `notes` are short lines for
    the person about how the image was changed.
    """

    image: Image.Image = field(compare=False, repr=False)
    width: int
    height: int
    sha256: str
    format: str
    path: str | None = None
    notes: tuple[str, ...] = ()
    content: bytes = field(default=b"", compare=False, repr=False)


def open_picture(source: Source) -> Picture:
    """Open a file, bytes, an open binary file, a Pillow image or a numpy array without changing it.

    Of several frames or pages the first is used (of a Pillow image the current one). An array is height x
    width x 3 (RGB) or 4 (RGBA) of uint8, or height x width of most number types.

    Raises:
        ImageError: one line with the error and the remedy.
    """
    import numpy as np  # here, so that storage starts without it

    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        with _decoding("the image"):
            image, (width, height), notes = _as_seen(source)
        pixels = f"{image.width} {image.height} ".encode() + image.tobytes()
        return Picture(image, width, height, _sha256(pixels), source.format or "memory", None, tuple(notes))
    path = os.fspath(source) if isinstance(source, str | Path) else None
    name = "the image" if path is None else _printable(path)
    content = _read(source, name)
    with _decoding(name):
        opened = identify(content)
        size = opened.size
        _refuse_bombs(*size)
        opened.draft(None, _reduced(*size))  # reduces a JPEG during decoding, without extra memory
        frames = _frames_note(opened)
        correct_planes(opened)
        deep, brightened = in_sixteen_bits(opened, content)
        image, (width, height), notes = _as_seen(deep, size)
    notes = [*frames, *brightened, *notes]
    return Picture(image, width, height, _sha256(content), opened.format or "", path, tuple(notes), content)


def as_seen(source: Source) -> Image.Image:
    """Return the image upright and in RGB; one that already is, unchanged.

    Raises:
        ImageError: one line with the error and the remedy.
    """
    return source if _is_as_seen(source) else open_picture(source).image


def _is_as_seen(source: Source) -> TypeGuard[Image.Image]:
    if type(source) is not Image.Image or source.mode != "RGB" or source.info:
        return False
    return min(source.size) > 0 and max(source.size) <= LONG_SIDE


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    import numpy as np

    flat = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    try:
        if flat.ndim < 2:
            raise TypeError
        if (
            flat.dtype == np.uint32 and flat.size and flat.max() >= 2**31
        ):  # Pillow's integers are signed: large values would become negative
            flat = flat.astype(np.float32)
        return Image.fromarray(flat)
    except (TypeError, ValueError):
        shape = " x ".join(map(str, array.shape))
        remedy = "give height x width x 3 of uint8, 0 to 255"
        raise ImageError(f"the image: it cannot be an array of {shape} {array.dtype}; {remedy}") from None


# --- reading ---------------------------------------------------------------------------------------------


def _printable(path: str) -> str:
    """Return the path for a one-line message: printable and short."""
    shown = path if path.isprintable() else repr(path)
    return shown if len(shown) <= 200 else "…" + shown[-199:]


def _read(source: str | Path | bytes | bytearray | BinaryIO, name: str) -> bytes:
    try:
        content = _read_bytes(source)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except FileNotFoundError:
        remedy = "download it first" if "://" in str(source) else "check the path and the spelling"
        raise ImageError(f"{name}: there is no such file; {remedy}") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: this is a folder; name one image in it") from None
    except PermissionError:
        raise ImageError(f"{name}: you may not read this file; check its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be read ({reason}); check the path and the disk") from error
    if not content:
        raise ImageError(f"{name}: the file is empty; copy or download it again")
    return content


def _read_bytes(source: str | Path | bytes | bytearray | BinaryIO) -> bytes:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return _read_bytes(file)
    if isinstance(source, bytes | bytearray):
        source = BytesIO(source)
    if not hasattr(source, "read"):
        kind = type(source).__name__
        raise ImageError(f"an object of type {kind} is not one; give a path, bytes, an image or an array")
    size = 0
    if source.seekable():  # like Pillow: read an upload from its start even if it was read before
        size = source.seek(0, SEEK_END)
        source.seek(0)
    content = b"" if size > FILE_LIMIT else source.read(FILE_LIMIT + 1)
    if max(size, len(content)) > FILE_LIMIT:
        limit = FILE_LIMIT // 1024**2
        raise ImageError(f"the file is larger than {limit} MB; save it as JPEG or smaller")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- decoding --------------------------------------------------------------------------------------------


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Silence Pillow and turn its exceptions into one line, for one image at a time.

    Warning filters are global: two threads that change and restore them at once could leave them changed,
    hence the lock. It also limits the memory for large images.
    """
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: {_TOO_MANY_PIXELS}") from None
    except Exception as error:  # on damaged files Pillow may raise anything
        reason = unsupported(error) or "it is incomplete or damaged; copy or download it again"
        raise ImageError(f"{name}: {reason}") from error


def _refuse_bombs(width: int, height: int) -> None:
    if width * height > PIXEL_LIMIT:
        raise ImageError(_TOO_MANY_PIXELS)
    if max(width, height) > SIDE_LIMIT:
        raise ImageError(f"it is more than {SIDE_LIMIT} pixels long; cut it into parts")
    if width * height == 0:
        raise ImageError("it has no pixels; use another image")


def _frames_note(opened: Image.Image) -> list[str]:
    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and opened.format in _ANIMATED_FORMATS:
        return [f"animated: the first of {frames} frames is used"]
    if frames > 1 and opened.format in _PAGES:
        return [_PAGES[opened.format].format(frames)]
    return []


def _as_seen(
    image: Image.Image, size: tuple[int, int] | None = None
) -> tuple[Image.Image, tuple[int, int], list[str]]:
    """Return a new upright RGB image, its upright size in the file, and notes.

    `size` is the size in the file, if decoding already reduces the image.
    """
    from .colours import in_rgb  # imports numpy

    width, height = size or image.size
    _refuse_bombs(width, height)
    image.load()
    orientation = _orientation(image)  # after loading: PNG may have it at the end, TIFF applies it itself
    seen, notes = in_rgb(image, _reduced(width, height))
    if orientation in _TURNS:
        seen = seen.transpose(_TURNS[orientation])
    if orientation >= 5:
        width, height = height, width
    if seen.size != (width, height):
        notes.append(f"reduced from {width} x {height} to {seen.width} x {seen.height} pixels")
    return seen, (width, height), notes


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation 1..8; 1 if it is missing or invalid."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF is common and says nothing about the pixels
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _reduced(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
