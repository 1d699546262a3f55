"""Parse the paths of images given on the command line or dropped on the terminal."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...vlm.errors import AssistantError

_ADDRESSES = ("http://", "https://")
_FILE = "file://"
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic")


def named_path(name: str) -> Path:
    """Return the path of a name, with a leading `~` expanded.

    Raises:
        AssistantError: the user after the `~` does not exist.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise AssistantError(f"{name}: no such home folder; check the name after the ~") from error


def dropped_path(text: str) -> Path:
    """Return the path of a file dropped on a terminal: quoted, escaped, or a `file://` URL.

    Raises:
        AssistantError: the user after a `~` does not exist.
    """
    if text.lower().startswith(_FILE):
        return Path(url2pathname(urlsplit(text).path))
    if os.path.lexists(text):
        return Path(text)
    words = _shell_words(text)
    return named_path(words[0].strip("'\"") if len(words) == 1 else text)


def given_path(name: str) -> str | Path:
    """Return the path of a `file://` URL; other names unchanged."""
    return dropped_path(name) if name.lower().startswith(_FILE) else name


def is_file(name: str) -> bool:
    """Return whether `name` is an existing file; False for text that cannot be a path."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def names_picture(text: str) -> bool:
    """Return whether a text is a file, or one word that ends like an image's name."""
    return is_file(text) or (len(text.split()) == 1 and Path(text).suffix.lower() in _PICTURE_ENDINGS)


def picture_in_place_of_words(text: str) -> Path | None:
    """Return the path if a line is nothing but an image's path, else None.

    Raises:
        AssistantError: the line is a URL, or the user after a `~` does not exist.
    """
    if text.lower().startswith(_ADDRESSES) and len(text.split()) == 1:
        raise AssistantError("images are not downloaded from URLs: save it first, then give its path")
    if not is_file(text) and len(_shell_words(text)) != 1:
        return None
    path = dropped_path(text)
    if path.suffix.lower() in _PICTURE_ENDINGS or (path.is_file() and any(sign in text for sign in "./\\")):
        return path
    return None


def expand(names: Sequence[str]) -> list[str]:
    """Return the names with each pattern, such as `*.jpg`, replaced by its matches in sorted order.

    Raises:
        AssistantError: a pattern matches no file.
    """
    return [found for name in names for found in _matches(name)]


def _matches(name: str) -> list[str]:
    if not any(character in name for character in "*?[") or os.path.lexists(name):
        return [name]
    found = sorted(filter(is_file, glob(str(named_path(name)), recursive=True)))  # noqa: PTH207 (keeps `./`)
    if not found:
        raise AssistantError(f"no file matches {name}; check the pattern and the folder")
    return found


def _shell_words(text: str) -> list[str]:
    """Split like a shell: terminals escape spaces or quote the names of dropped files."""
    try:
        return shlex.split(text, posix=os.name != "nt")
    except ValueError:  # an apostrophe
        return text.split()
