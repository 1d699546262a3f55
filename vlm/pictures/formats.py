"""Identify an image file by its content and open it, or say what the file is instead.

Libraries stay silent, and a file that takes too long to read is an error.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import re
import struct
import time
from io import BytesIO

from PIL import Image, ImageFile, UnidentifiedImageError, _imaging

from ..errors import ImageError

_PILLOWS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM")
FORMATS = (*_PILLOWS, "HEIF")
"""The supported formats, by Pillow's names; a phone's multi-picture JPEG (MPO) counts as JPEG. HEIF, the HEIC
of iPhones, needs the package pillow-heif."""
SECONDS_LIMIT = 5.0
"""The maximum CPU time for reading one image."""
TEXT_PIXELS = 4_000_000
"""The maximum number of pixels of an image in text form (plain PPM)."""

_SAVE = "save it as an 8-bit PNG or JPEG"
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_UNSUPPORTED = re.compile(
    r"unsupported|unknown (pixel|raw) mode|unknown data|not (supported|available|implement)", re.I
)
_BLOCK = 16_384
_SUBFILE_TYPE = 254
_RAW = "this is a camera's raw file; export it as JPEG"
_VIDEO = "this is a video, not an image; save one of its frames as JPEG"
_DRAWING = "this is a drawing in SVG or XML, not an image; export it as PNG"
_WEB_PAGE = "this is a web page, not an image; save the image itself"
# By the first characters, in lower case.
_OTHERS = {
    b"%pdf": "this is a PDF document, not an image; export its page as PNG",
    b"<svg": _DRAWING,
    b"<?xml": _DRAWING,
    b"<!doctype": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"version https://git-lfs": "this is a pointer of Git LFS, not the image; run `git lfs pull`",
    b"pk\3\4": "this is an archive or a document, not an image; unpack it first",
    b"fujifilm": _RAW,
    b"iiu\0": _RAW,
    b"iiro": _RAW,
    b"gimp xcf": "GIMP's own images cannot be opened; export it as PNG",
    b"v/1\1": "OpenEXR images cannot be opened; export it as PNG",
}


class _Timed(BytesIO):
    """A file that stops after `SECONDS_LIMIT`: some small files keep a reader busy for hours."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._end = time.thread_time() + SECONDS_LIMIT

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise ImageError(f"reading it takes more than {SECONDS_LIMIT:g} seconds; {_SAVE}")
        return super().read(size)


def identify(content: bytes) -> ImageFile.ImageFile:
    """Return the image with its size, before decoding its pixels.

    Raises:
        ImageError: the file cannot be opened as an image; Pillow raises other errors on damaged files.
    """
    _silence_libraries()
    if _is_heic(content):
        return _open_heic(content)
    try:
        opened = Image.open(_Timed(content), formats=_PILLOWS)
    except UnidentifiedImageError:
        raise ImageError(_describe_other(content)) from None
    if opened.tile and opened.tile[0][0] == "ppm_plain" and opened.width * opened.height > TEXT_PIXELS:
        raise ImageError(
            f"it is written as text and has more than {TEXT_PIXELS // 10**6} million pixels; {_SAVE}"
        )
    if getattr(opened, "tag_v2", {}).get(_SUBFILE_TYPE) == 1:
        raise ImageError(f"its first page is a preview: {_RAW}")
    opened.decodermaxblock = _BLOCK  # the time is checked before each block
    return opened


def unsupported(error: Exception) -> str | None:
    """Return the message for an error about an unsupported kind of image, or None for damage."""
    if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(str(error)):
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        return f"images of this kind cannot be opened ({reason}); {_SAVE}"
    return None


@functools.cache
def _silence_libraries() -> None:
    """Keep libtiff, and Pillow's log if logging is not configured, from writing to stderr."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        libraries = ctypes.CDLL(
            _imaging.__file__
        )  # finds the functions of the libraries that it is linked to
        for setter in (libraries.TIFFSetErrorHandler, libraries.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (AttributeError, OSError):
        pass  # linked differently, as on Windows


def _is_heic(content: bytes) -> bool:
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), 256)
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _HEIC_BRANDS) or (content[8:12] in (b"mif1", b"msf1") and b"avif" not in brands)


def _open_heic(content: bytes) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ImageError(
            "HEIC images need one package more; pip install pillow-heif, or export it as JPEG "
            "(on an iPhone: Settings, Camera, Formats, Most Compatible)"
        ) from None
    return HeifImageFile(BytesIO(content))


def _describe_other(content: bytes) -> str:
    head = content[:512].lstrip().lower()
    for beginning, what in _OTHERS.items():
        if head.startswith(beginning):
            return what
    if content[4:8] == b"ftyp" and content[8:12] not in (b"avif", b"avis"):
        return _RAW if content[8:12] == b"crx " else _VIDEO
    if content[128:132] == b"DICM":
        return "DICOM images cannot be opened; export it as PNG"
    if content.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL images cannot be opened; save it as PNG or JPEG"
    kind = _format_by_magic(content)
    if kind is None:
        return f"this is not an image, or a damaged one; copy it again, or use one of {', '.join(FORMATS)}"
    if kind not in FORMATS:
        return f"{kind} images cannot be opened; save it as PNG or JPEG"
    try:
        Image.OPEN[kind][0](_Timed(content), "")
    except Exception as error:
        reason = unsupported(error)
    else:
        reason = None
    return reason or f"this {kind} file is damaged, or of a rare kind; copy it again, or {_SAVE}"


def _format_by_magic(content: bytes) -> str | None:
    """Return Pillow's name of the format of the first bytes, or None."""
    Image.init()
    for name in (*_PILLOWS, *Image.ID):
        accept = Image.OPEN[name][1]
        try:
            if accept and accept(content[:16]):
                return name
        except (IndexError, struct.error):  # too few bytes
            continue
    return None
