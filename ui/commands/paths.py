"""Pictures as people name them on a command line or drop them on a terminal."""

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
    """Return the path that a person names; a `~` before it is a home folder.

    Raises:
        AssistantError: nobody has that home folder.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise AssistantError(f"{name}: nobody here has that home folder; check what follows the ~") from error


def dropped_path(text: str) -> Path:
    """Return the path that a terminal writes for a file dropped on it: quoted, escaped, or after `file://`.

    Raises:
        AssistantError: nobody has the home folder that it names.
    """
    if text.lower().startswith(_FILE):
        return Path(url2pathname(urlsplit(text).path))
    if os.path.lexists(text):
        return Path(text)
    words = _shell_words(text)
    return named_path(words[0].strip("'\"") if len(words) == 1 else text)


def given_path(name: str) -> str | Path:
    """Return a picture's name as a shell gives it, a `file://` address as the path that it stands for."""
    return dropped_path(name) if name.lower().startswith(_FILE) else name


def is_file(name: str) -> bool:
    """Return whether there is such a file; anything but a name is none."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def picture_in_place_of_words(text: str) -> Path | None:
    """Return the picture that a line names where it says nothing else, None where it is a person's words.

    Raises:
        AssistantError: the line is an address, or nobody has the home folder that it names.
    """
    if text.lower().startswith(_ADDRESSES) and len(text.split()) == 1:
        raise AssistantError("pictures are not fetched from addresses: save it first, then name the file")
    if not is_file(text) and len(_shell_words(text)) != 1:
        return None
    path = dropped_path(text)
    if path.suffix.lower() in _PICTURE_ENDINGS or (path.is_file() and any(sign in text for sign in "./\\")):
        return path
    return None


def expand(names: Sequence[str]) -> list[str]:
    """Return the names of pictures with those that are patterns, such as `*.jpg`, in their place sorted.

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
    """Split as a shell does, which a terminal counts on when it escapes blanks or quotes a name."""
    try:
        return shlex.split(text, posix=os.name != "nt")
    except ValueError:  # an apostrophe
        return text.split()


__all__ = ["dropped_path", "expand", "given_path", "is_file", "named_path", "picture_in_place_of_words"]
