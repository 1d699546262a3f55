"""Which picture a call means, and which files a model may open.

What a model asks for is not trusted: it may have been told to by a text it read. So a path is followed to
the file that it really names, and opened only if that lies in one of the allowed folders; whatever else it
names, there or not, gets one and the same answer.
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
from .attachments import attached, bare_base64, content_of, is_data_url, read_data_url

CURRENT_IMAGE = "current_image"
"""The key of the current picture in `config["configurable"]`."""

_LONGEST_ECHO = 200
_THE_CURRENT = "the current picture"
_LIST = " (`list_pictures` names them)"
_LEAVE_OUT = "leave `image` out to use the current picture, or "
# Entries of a folder and of those in it that are looked through for pictures.
_MOST_ENTRIES = 20_000


@runtime_checkable
class ImageSource(Protocol):
    """Pictures by id, such as those that a store of sessions keeps."""

    def find(self, reference: str) -> Source | None:
        """Return the picture of that id, or None where the id is not one of this source.

        What it returns is opened as it is, a path wherever it leads. It must not take a path for an id.
        """
        ...


@runtime_checkable
class ListedSource(ImageSource, Protocol):
    """A source whose pictures a model may be told of."""

    def references(self) -> Iterable[str]:
        """Return the ids of the pictures."""
        ...


@dataclass(frozen=True)
class OpenedImage:
    """A picture and the path or id that it is known by, None for one that came as the run's, in memory."""

    picture: Picture
    reference: str | None


class ImageAccess:
    """Opens pictures by id from sources and messages, and by path from allowed folders alone."""

    def __init__(
        self, folders: Sequence[str | Path] | None = None, sources: Sequence[ImageSource] = ()
    ) -> None:
        """Allow files below `folders`, by default below the folder that the program works in now."""
        chosen = [Path.cwd()] if folders is None else folders
        self._folders = tuple(Path(os.path.realpath(folder)) for folder in chosen)
        self._sources = tuple(sources)

    def open(
        self, reference: str | None, config: RunnableConfig, messages: Iterable[Any] = ()
    ) -> OpenedImage:
        """Open what a model named, or else the current picture of the run, or that of the person's message.

        Raises:
            ToolException: no picture, one that may not be opened, or a broken one.
            TypeError: the program put something else than a picture into the configuration.
        """
        current = config.get("configurable", {}).get(CURRENT_IMAGE)
        groups = attached(messages)
        if reference:
            remedy = _LEAVE_OUT if current is not None or groups else ""
            return self._named(reference, _by_name(groups), remedy)
        if current is not None:
            return self._current(current)
        if not groups:
            raise ToolException(
                f"there is no current picture: give `image`, the path or id of a picture{_LIST}"
            )
        named = _by_name(groups)
        latest = list(named)[-len(groups[-1]) :]
        if len(latest) > 1:
            raise ToolException(f"several pictures are attached: give `image`, one of {', '.join(latest)}")
        return self._block(named[latest[0]], latest[0])

    def names(self, config: RunnableConfig, messages: Iterable[Any] = ()) -> Iterator[str]:
        """Yield the names by which pictures may be asked for: attached ones, those of sources, files."""
        current = config.get("configurable", {}).get(CURRENT_IMAGE)
        if isinstance(current, str) and not is_data_url(current):
            yield current[:_LONGEST_ECHO]
        yield from _by_name(attached(messages))
        for source in self._sources:
            if isinstance(source, ListedSource):
                yield from source.references()
        for folder in self._folders:
            yield from _pictures_below(folder)

    def _current(self, current: Any) -> OpenedImage:
        if isinstance(current, Picture):
            return OpenedImage(current, current.path)
        if isinstance(current, str):  # servers take it from their clients: no more trusted than a model
            return self._named(current, {}, "")
        if isinstance(current, Mapping):
            return self._block(current, None)
        if isinstance(current, Path):
            return OpenedImage(_open(current, current.name), str(current))
        if isinstance(current, bytearray):
            current = bytes(current)
        if isinstance(current, bytes | Image.Image | np.ndarray):
            return OpenedImage(_open(current, _THE_CURRENT), None)
        raise TypeError(f"{CURRENT_IMAGE} is a {type(current).__name__}, which is no picture")

    def _block(self, block: Mapping[str, Any], name: str | None) -> OpenedImage:
        """Open the picture of a message's block, which is known by `name`."""
        content = content_of(block)
        if isinstance(content, str):
            return self._named(content, {}, "")
        return OpenedImage(_open(content, _THE_CURRENT), name)

    def _named(self, reference: str, attachments: Mapping[str, Any], remedy: str) -> OpenedImage:
        if reference in attachments:
            return self._block(attachments[reference], reference)
        if is_data_url(reference):
            return OpenedImage(_open(read_data_url(reference), "the picture"), None)
        name = repr(reference[:_LONGEST_ECHO])
        if "://" in reference or reference.lower().startswith("file:"):
            raise ToolException(f"{name}: addresses are not opened; give the path of a file, or an id")
        source = self._from_sources(reference) or self._file(reference)
        if source is not None:
            return OpenedImage(_open(source, name), reference)
        if (data := bare_base64(reference)) is not None:
            return OpenedImage(_open(data, "the picture"), None)
        raise ToolException(
            f"{name}: there is no such picture among those that may be opened; {remedy}check the spelling, "
            f"and give a path relative to the allowed folder, or an id{_LIST}"
        )

    def _from_sources(self, reference: str) -> Source | None:
        try:
            found = (source.find(reference) for source in self._sources)
            return next((picture for picture in found if picture is not None), None)
        except AssistantError as error:
            raise ToolException(str(error)) from error

    def _file(self, reference: str) -> Path | None:
        """Return the regular file that a path really names if it lies in an allowed folder."""
        for folder in self._folders:
            try:
                path = Path(os.path.realpath(folder / reference, strict=True))
            except (OSError, ValueError):  # ValueError: characters that no path can have
                continue
            if path.is_relative_to(folder) and path.is_file():
                return path
        return None


def _by_name(groups: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    """Return attached pictures by the names that a model may call them."""
    blocks = (block for group in groups for block in group)
    return {f"attached-{number}": block for number, block in enumerate(blocks, 1)}


def _pictures_below(folder: Path) -> Iterator[str]:
    """Yield the paths, relative to a folder, of the pictures in it, by their endings."""
    endings = {*Image.registered_extensions(), ".heic", ".heif"}
    seen = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(folders) + len(files)
        for name in sorted(files):
            if Path(name).suffix.lower() in endings:
                yield str(Path(place, name).relative_to(folder))
        if seen > _MOST_ENTRIES:
            return


def _open(source: Source, name: str) -> Picture:
    """Open a picture; messages call it `name`, so that none tells a model where on the machine it lies."""
    try:
        return open_picture(_content(source) if isinstance(source, str | Path) else source)
    except OSError as error:
        raise ToolException(f"{name}: it cannot be read; use another picture") from error
    except AssistantError as error:
        raise ToolException(f"{name}: {str(error).removeprefix('the picture: ')}") from error


def _content(path: str | Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(FILE_LIMIT + 1)  # one byte more than is allowed is enough to be refused


__all__ = ["CURRENT_IMAGE", "ImageAccess", "ImageSource", "ListedSource", "OpenedImage"]
