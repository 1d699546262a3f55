"""Read images sent as data: message blocks, data URLs, base64.

Supports the blocks of LangChain and of chat model providers: `image`, `image_url`, `input_image`, `media` and
`file` blocks, with their data under `base64`, `data`, `url`, `source` and so on.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from langchain_core.tools import ToolException
from PIL import Image

_DATA_URL = re.compile(r"\s*data:[^,]{0,200}?(?P<base64>;\s*base64)?\s*,", re.IGNORECASE)
_KINDS = ("image", "image_url", "input_image")
_MIME_TYPES = ("mime_type", "media_type", "mimeType")
# The keys of a block that hold its data, and those that nest it; a URL may be a data URL.
_DATA_KEYS = ("base64", "data", "file_data", "bytes")
_NESTED_KEYS = ("url", "image_url", "source", "image", "inline_data", "inlineData", "file")
_MIN_BASE64_LENGTH = 64
_DAMAGED = "the current image's base64 data is damaged: attach it again"


def is_data_url(text: str) -> bool:
    """Return whether a text is a data URL."""
    return _DATA_URL.match(text) is not None


def read_data_url(url: str) -> bytes:
    """Return the data of a data URL.

    Raises:
        ToolException: the data is damaged.
    """
    match = _DATA_URL.match(url)
    if match is None:
        raise ToolException(_DAMAGED)
    data = unquote_to_bytes(url[match.end() :])
    return read_base64(data) if match["base64"] else data


def read_base64(text: str | bytes) -> bytes:
    """Decode base64, in either alphabet, with or without padding and line ends.

    Raises:
        ToolException: the data is damaged.
    """
    try:
        code = text if isinstance(text, bytes) else text.encode("ascii")
        code = b"".join(code.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        return base64.b64decode(code + b"=" * (-len(code) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ToolException(_DAMAGED) from None


def bare_base64(text: str) -> bytes | None:
    """Decode a text that is an image in base64; return None for any other text."""
    if len(text) < _MIN_BASE64_LENGTH:
        return None
    try:
        data = read_base64(text)
    except ToolException:
        return None
    return data if _is_image(data) else None


def _is_image(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")) or (
        data[4:8] == b"ftyp"
    )


def content_of(block: Mapping[str, Any]) -> bytes | Image.Image | str:
    """Return the image in a block, or the id that the block names.

    Raises:
        ToolException: the block has no image, only a link, or damaged data.
    """
    for key in _DATA_KEYS:
        value = block.get(key)
        if isinstance(value, bytes):
            return value
        if isinstance(value, str) and value:
            return read_data_url(value) if is_data_url(value) else read_base64(value)
    for key in _NESTED_KEYS:
        value = block.get(key)
        if isinstance(value, bytes | Image.Image):
            return value
        if isinstance(value, str) and value:
            return _from_text(value)
        if isinstance(value, Mapping):
            return content_of(value)
    if isinstance(identifier := block.get("file_id"), str) and identifier:
        return identifier
    raise ToolException("the current image is not attached as base64 data; attach the image itself")


def _from_text(text: str) -> bytes:
    if is_data_url(text):
        return read_data_url(text)
    if (data := bare_base64(text)) is not None:
        return data
    raise ToolException("the current image is a link; links are not followed: attach the image itself")


def attached_images(messages: Iterable[Any]) -> list[list[Mapping[str, Any]]]:
    """Return, in order, the image blocks of each user message that has any."""
    found = (
        [block for block in _blocks(message) if _has_image(block)]
        for message in messages
        if getattr(message, "type", None) == "human"
    )
    return [blocks for blocks in found if blocks]


def _blocks(message: Any) -> list[Mapping[str, Any]]:
    content = getattr(message, "content", None)
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    return [part for part in parts if isinstance(part, Mapping)]


def _has_image(block: Mapping[str, Any]) -> bool:
    if block.get("type") in _KINDS or isinstance(block.get("image"), Mapping):
        return True
    holders = [block, *(block[key] for key in _NESTED_KEYS if isinstance(block.get(key), Mapping))]
    types = [str(holder.get(key) or "") for holder in holders for key in _MIME_TYPES]
    data = [str(holder.get("file_data") or "")[:20] for holder in holders]
    return any(text.startswith(("image/", "data:image/")) for text in (*types, *data))
