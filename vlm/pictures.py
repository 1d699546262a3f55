"""Open pictures as people have them: any photo in, one upright RGB picture out, or one clear line.

Everything that a file says about how it wants to be seen is applied here, once (EXIF orientation, palette,
transparency, 16-bit values, CMYK), so that nobody else has to think of it. Nothing global is changed in
Pillow, and nothing is printed.
"""

from __future__ import annotations

import hashlib
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, UnidentifiedImageError

from .errors import ImageError

Source: TypeAlias = str | Path | bytes | BinaryIO | Image.Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM")
"""What is opened, by Pillow's names; a phone's multi-picture JPEG (MPO) counts as JPEG."""
PIXEL_LIMIT = 178_956_970
"""Pictures of more pixels are refused before they are decoded (13377 x 13377; Pillow's own hard limit)."""
FILE_LIMIT = 512 * 1024**2
"""Files of more bytes are refused."""
LONG_SIDE = 4096
"""Larger pictures are reduced to this many pixels on their longer side."""

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
# The chunks of a PNG that may say it: EXIF in either form, XMP.
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_PAGED_FORMATS = ("TIFF",)
_ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as a person sees it.

    `image` is RGB, upright, and at most `LONG_SIDE` pixels long. `width` and `height` are the pixels of the
    picture in the file, upright as well: larger than `image.size` where the picture was reduced. Boxes are
    relative to the picture, so they fit both. `sha256` is that of the file's bytes, or of the RGB pixels for
    a picture that was in memory; `format` is Pillow's name ("JPEG"), or "memory"; `content` is the file's
    bytes, if any; `notes` are short lines about what was done that a person may want to know.
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
    """Open a file, bytes, an open binary file or a Pillow image; the caller's image stays as it is.

    Of several frames or pages the first is used (of a Pillow image the one that it stands at).

    Raises:
        ImageError: what is wrong with it and what to do, in one line.
    """
    if isinstance(source, Image.Image):
        with _decoding("the picture"):
            image, (width, height), notes = _as_seen(source)
        pixels = f"{image.width} {image.height} ".encode() + image.tobytes()
        return Picture(image, width, height, _sha256(pixels), source.format or "memory", None, tuple(notes))
    path = str(source) if isinstance(source, str | Path) else None
    name = "the picture" if path is None else _printable(path)
    content = _read(source, name)
    with _decoding(name):
        opened = _identify(content)
        size = opened.size
        opened.draft(None, _reduced(*size))  # lets a JPEG be reduced while it is decoded, at no extra memory
        frames = _frames_note(opened)
        image, (width, height), notes = _as_seen(opened, size)
    notes = [*frames, *notes]
    return Picture(image, width, height, _sha256(content), opened.format or "", path, tuple(notes), content)


def measure(source: str | Path | bytes | BinaryIO) -> tuple[bytes, str, int, int]:
    """Return a file's bytes, its format, and its upright width and height; its pixels are not decoded.

    Raises:
        ImageError: it is no picture that `open_picture` takes; damage among the pixels is not seen.
    """
    name = _printable(str(source)) if isinstance(source, str | Path) else "the picture"
    content = _read(source, name)
    with _decoding(name):
        opened = _identify(content)
        width, height = opened.size
        _refuse_bombs(width, height)
        if opened.format == "PNG" and not any(marker in content for marker in _PNG_ORIENTATION):
            orientation = 1  # the pixels would be decoded in search of one behind them
        elif opened.format == "TIFF":
            orientation = 1  # the size is upright already
        else:
            orientation = _orientation(opened)
    return content, opened.format or "", *((height, width) if orientation >= 5 else (width, height))


# --- reading ---------------------------------------------------------------------------------------------


def _printable(path: str) -> str:
    """Return the path for a message of one line: no line breaks in it, nor pages of it."""
    shown = path if path.isprintable() else repr(path)
    return shown if len(shown) <= 200 else "…" + shown[-199:]


def _read(source: str | Path | bytes | BinaryIO, name: str) -> bytes:
    try:
        content = _read_bytes(source)
    except FileNotFoundError:
        remedy = "download it first" if "://" in str(source) else "check the path and the spelling"
        raise ImageError(f"{name}: there is no such file; {remedy}") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: this is a folder; name one picture in it") from None
    except PermissionError:
        raise ImageError(f"{name}: you may not read this file; check its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be read ({reason}); check the path and the disk") from error
    if not content:
        raise ImageError(f"{name}: the file is empty; copy or download it again")
    if len(content) > FILE_LIMIT:
        limit = FILE_LIMIT // 1024**2
        raise ImageError(f"{name}: the file is larger than {limit} MB; save it as JPEG or smaller")
    return content


def _read_bytes(source: str | Path | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return file.read(FILE_LIMIT + 1)
    if source.seekable():  # like Pillow: an upload that was looked at before is read from its beginning
        source.seek(0)
    return source.read(FILE_LIMIT + 1)


def _identify(content: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError(_what_it_is_instead(content)) from None


def _what_it_is_instead(content: bytes) -> str:
    head = content[:512].lstrip().lower()
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        return (
            "HEIC pictures cannot be opened; export it as JPEG "
            "(on an iPhone: Settings, Camera, Formats, Most Compatible)"
        )
    if head.startswith(b"%pdf"):
        return "this is a PDF document, not a picture; export its page as PNG"
    if head.startswith((b"<svg", b"<?xml")):
        return "this is a drawing in SVG or XML, not a picture; export it as PNG"
    if head.startswith((b"<!doctype", b"<html")):
        return "this is a web page, not a picture; save the picture itself"
    return f"this is no picture, or a damaged one; copy it again, or use one of {', '.join(FORMATS)}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- decoding --------------------------------------------------------------------------------------------


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Keep Pillow silent, one picture at a time, and turn whatever it raises into one line.

    Warning filters belong to the whole process: two threads that change and restore them at once would leave
    them changed for good, hence the lock. It also bounds the memory that large pictures take.
    """
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: {_TOO_MANY_PIXELS}") from None
    except Exception as error:  # on damaged files Pillow's readers raise about anything
        raise ImageError(f"{name}: it is incomplete or damaged; copy or download it again") from error


def _refuse_bombs(width: int, height: int) -> None:
    if width * height > PIXEL_LIMIT:
        raise ImageError(_TOO_MANY_PIXELS)
    if width * height == 0:
        raise ImageError("it has no pixels; use another picture")


def _frames_note(opened: Image.Image) -> list[str]:
    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and opened.format in _ANIMATED_FORMATS:
        return [f"animated: the first of {frames} frames is used"]
    if frames > 1 and opened.format in _PAGED_FORMATS:
        return [f"several pages: the first of {frames} is used"]
    return []


def _as_seen(
    image: Image.Image, size: tuple[int, int] | None = None
) -> tuple[Image.Image, tuple[int, int], list[str]]:
    """Return the picture upright in RGB (a new image), its upright size in the file, and notes.

    `size` is the size in the file, where decoding reduces the picture already.
    """
    width, height = size or image.size
    _refuse_bombs(width, height)
    image.load()
    orientation = _orientation(image)  # after loading: PNG may say it at its end, TIFF turns itself
    seen, notes = _eight_bits(_reduce(image, _reduced(width, height)))
    seen, more = _on_white(seen)
    if orientation in _TURNS:
        seen = seen.transpose(_TURNS[orientation])
    if orientation >= 5:
        width, height = height, width
    if seen.size != (width, height):
        notes.append(f"reduced from {width} x {height} to {seen.width} x {seen.height} pixels")
    return seen, (width, height), notes + more


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation 1..8; 1 where there is none, or none that can be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF is common and says nothing about the pixels
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _reduced(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _reduce(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA"):  # palette numbers cannot be averaged
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Image.Resampling.LANCZOS)


def _eight_bits(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Bring 16-bit values, whole numbers and floats to 0..255; others stay as they are."""
    if not image.mode.startswith(("I", "F")):
        return image, []
    notes = []
    values = image.convert("F")
    low, high = (float(value) for value in values.getextrema())  # type: ignore[arg-type]
    if image.mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    else:
        notes.append(f"values {low:g} to {high:g} shown from black to white")
    if not math.isfinite(high - low):
        raise ImageError("it holds values that are not numbers; save it as 8-bit PNG")
    scale = 255.0 / (high - low) if high > low else 0.0
    return values.point(lambda value: value * scale + (0.5 - low * scale)).convert("L"), notes


def _on_white(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the picture in RGB as a new image, what is transparent laid on white."""
    if not image.has_transparency_data:
        return image.convert("RGB"), []
    layer = image.convert("RGBA")
    if layer.getchannel("A").getextrema() == (255, 255):
        return layer.convert("RGB"), []
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB"), ["transparency shown on white"]


__all__ = [
    "FILE_LIMIT",
    "FORMATS",
    "LONG_SIDE",
    "PIXEL_LIMIT",
    "Picture",
    "Source",
    "measure",
    "open_picture",
]
