"""Open the image that a call names, and restrict which files a model may open.

A model's request is untrusted: text that the model read may have injected it. Paths are resolved to real
files and opened only inside an allowed folder; all other paths get one answer, whether they exist or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from PIL import Image

from ..vlm.errors import AssistantError
from ..vlm.pictures import FILE_LIMIT, Picture, Source, open_picture
from .attachments import attached_images, bare_base64, content_of, is_data_url, read_data_url

CURRENT_IMAGE = "current_image"
"""The key of the current image in `config["configurable"]`."""

_LONGEST_ECHO = 200
_CURRENT_NAME = "the current image"
_LIST_HINT = " (`list_pictures` names them)"
_OMIT_HINT = "leave `image` out to use the current image, or "
# Stop searching for images after this many directory entries.
_MAX_ENTRIES = 20_000


@runtime_checkable
class ImageSource(Protocol):
    """Images by id, such as those in a session store.

    >>> class Photos(dict):
    ...     find = dict.get
    >>> ImageAccess(sources=(Photos(cat=Path("cat.jpg")),)).open("cat", {}).picture.height
    300
    """

    def find(self, reference: str) -> Source | None:
        """Return the image of that id, or None if this source does not have it.

        The result is opened without checks, even a path outside of the folders. Never treat `reference` as a
        path.
        """
        ...


@runtime_checkable
class ListedSource(ImageSource, Protocol):
    """A source that can list its images for a model."""

    def references(self) -> Iterable[str]:
        """Return the ids of the images."""
        ...


@dataclass(frozen=True)
class OpenedImage:
    """An image and its path or id, None if it came in memory."""

    picture: Picture
    reference: str | None


class ImageAccess:
    """Opens images by id from sources and messages, and by path from allowed folders only.

    >>> ImageAccess(folders=(".",)).open("cat.jpg", {}).picture.width
    451
    """

    def __init__(
        self, folders: Sequence[str | Path] | None = None, sources: Sequence[ImageSource] = ()
    ) -> None:
        """Allow files below `folders`, by default below the current working directory."""
        chosen = [Path.cwd()] if folders is None else folders
        self._folders = tuple(Path(os.path.realpath(folder)) for folder in chosen)
        self._sources = tuple(sources)

    def open(
        self, reference: str | None, config: RunnableConfig, messages: Iterable[Any] = ()
    ) -> OpenedImage:
        """Open the image that the model named, else the run's current image, else the user's latest image.

        Raises:
            ToolException: there is no image, opening it is not allowed, or it is damaged.
            TypeError: the configuration holds something other than an image.
        """
        current = config.get("configurable", {}).get(CURRENT_IMAGE)
        groups = attached_images(messages)
        if reference:
            remedy = _OMIT_HINT if current is not None or groups else ""
            return self._named(reference, _by_name(groups), remedy)
        if current is not None:
            return self._current(current)
        if not groups:
            raise ToolException(
                f"there is no current image: give `image`, the path or id of an image{_LIST_HINT}"
            )
        named = _by_name(groups)
        latest = list(named)[-len(groups[-1]) :]
        if len(latest) > 1:
            raise ToolException(f"several images are attached: give `image`, one of {', '.join(latest)}")
        return self._block(named[latest[0]], latest[0])

    def names(self, config: RunnableConfig, messages: Iterable[Any] = ()) -> Iterator[str]:
        """Yield the names of the images that a model may open: attached ones, those of sources, files."""
        current = config.get("configurable", {}).get(CURRENT_IMAGE)
        if isinstance(current, str) and not is_data_url(current):
            yield current[:_LONGEST_ECHO]
        yield from _by_name(attached_images(messages))
        for source in self._sources:
            if isinstance(source, ListedSource):
                yield from source.references()
        for folder in self._folders:
            yield from _image_files(folder)

    def _current(self, current: Any) -> OpenedImage:
        if isinstance(current, Picture):
            return OpenedImage(current, current.path)
        if isinstance(current, str):  # as untrusted as a model: a server may get it from its client
            return self._named(current, {}, "")
        if isinstance(current, Mapping):
            return self._block(current, None)
        if isinstance(current, Path):
            return OpenedImage(_open(current, current.name), str(current))
        if isinstance(current, bytearray):
            current = bytes(current)
        if isinstance(current, bytes | Image.Image | np.ndarray):
            return OpenedImage(_open(current, _CURRENT_NAME), None)
        raise TypeError(f"{CURRENT_IMAGE} is a {type(current).__name__}, which is not an image")

    def _block(self, block: Mapping[str, Any], name: str | None) -> OpenedImage:
        """Open the image in a message block, under the name `name`."""
        content = content_of(block)
        if isinstance(content, str):
            return self._named(content, {}, "")
        return OpenedImage(_open(content, _CURRENT_NAME), name)

    def _named(self, reference: str, attachments: Mapping[str, Any], remedy: str) -> OpenedImage:
        if reference in attachments:
            return self._block(attachments[reference], reference)
        if is_data_url(reference):
            return OpenedImage(_open(read_data_url(reference), "the image"), None)
        name = repr(reference[:_LONGEST_ECHO])
        if "://" in reference or reference.lower().startswith("file:"):
            raise ToolException(f"{name}: cannot open addresses; give the path of a file, or an id")
        source = self._from_sources(reference) or self._file(reference)
        if source is not None:
            return OpenedImage(_open(source, name), reference)
        if (data := bare_base64(reference)) is not None:
            return OpenedImage(_open(data, "the image"), None)
        raise ToolException(
            f"{name}: there is no such image among those that may be opened; {remedy}check the spelling, "
            f"and give a path relative to the allowed folder, or an id{_LIST_HINT}"
        )

    def _from_sources(self, reference: str) -> Source | None:
        try:
            found = (source.find(reference) for source in self._sources)
            return next((picture for picture in found if picture is not None), None)
        except AssistantError as error:
            raise ToolException(str(error)) from error

    def _file(self, reference: str) -> Path | None:
        """Return the regular file that a path resolves to, if it is in an allowed folder."""
        for folder in self._folders:
            try:
                path = Path(os.path.realpath(folder / reference, strict=True))
            except (OSError, ValueError):  # ValueError: characters that paths cannot have
                continue
            if path.is_relative_to(folder) and path.is_file():
                return path
        return None


def _by_name(groups: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    """Name the attached images, so that a model can refer to them."""
    blocks = (block for group in groups for block in group)
    return {f"attached-{number}": block for number, block in enumerate(blocks, 1)}


def _image_files(folder: Path) -> Iterator[str]:
    """Yield the relative paths of the images in a folder, by their suffixes."""
    suffixes = {*Image.registered_extensions(), ".heic", ".heif"}
    seen = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(folders) + len(files)
        for name in sorted(files):
            if Path(name).suffix.lower() in suffixes and name.isprintable():  # others cannot be text
                yield str(Path(place, name).relative_to(folder))
        if seen > _MAX_ENTRIES:
            return


def _open(source: Source, name: str) -> Picture:
    """Open an image; messages call it `name`, which hides its real path from the model."""
    try:
        return open_picture(_content(source) if isinstance(source, str | Path) else source)
    except OSError as error:
        raise ToolException(f"{name}: it cannot be read; use another image") from error
    except AssistantError as error:
        raise ToolException(f"{name}: {str(error).removeprefix('the image: ')}") from error


def _content(path: str | Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(FILE_LIMIT + 1)  # one byte over the limit is enough to refuse it
