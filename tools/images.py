"""Which picture a call means, and which files a model may open.

What a model asks for is not trusted: it may have been told to by a text it read. So a path is followed to
the file that it really names, and opened only if that lies in one of the allowed folders; whatever else it
names, there or not, gets one and the same answer.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from PIL import Image

from ..vlm.errors import AssistantError
from ..vlm.pictures import FILE_LIMIT, Picture, Source, open_picture

CURRENT_IMAGE = "current_image"
"""The key of the current picture in `config["configurable"]`."""

_LONGEST_ECHO = 200


@runtime_checkable
class ImageSource(Protocol):
    """Pictures by id, such as those that a store of sessions keeps."""

    def find(self, reference: str) -> Source | None:
        """Return the picture of that id, or None where the id is not one of this source.

        What it returns is opened as it is, a path wherever it leads. It must not take a path for an id.
        """
        ...


@dataclass(frozen=True)
class OpenedImage:
    """A picture and the path or id that it was named by, None for one that came in memory."""

    picture: Picture
    reference: str | None


class ImageAccess:
    """Opens pictures by id from sources, and by path from allowed folders alone."""

    def __init__(
        self, folders: Sequence[str | Path] | None = None, sources: Sequence[ImageSource] = ()
    ) -> None:
        """Allow files below `folders`, by default below the folder that the program works in now."""
        chosen = [Path.cwd()] if folders is None else folders
        self._folders = tuple(Path(os.path.realpath(folder)) for folder in chosen)
        self._sources = tuple(sources)

    def open(self, reference: str | None, config: RunnableConfig) -> OpenedImage:
        """Open what a model named, or else the current picture of the run.

        Raises:
            ToolException: no picture, one that may not be opened, or a broken one.
            TypeError: the program put something else than a picture into the configuration.
        """
        if reference:
            return self._named(reference)
        current = config.get("configurable", {}).get(CURRENT_IMAGE)
        if current is None:
            raise ToolException("there is no current picture: give `image`, the path or id of a picture")
        return self._current(current)

    def _current(self, current: Any) -> OpenedImage:
        if isinstance(current, Picture):
            return OpenedImage(current, current.path)
        if isinstance(current, str):  # servers take it from their clients: no more trusted than a model
            return self._named(current)
        if isinstance(current, Mapping):
            return self._block(current)
        if isinstance(current, Path):
            return OpenedImage(_open(current, current.name), str(current))
        if isinstance(current, bytes | Image.Image):
            return OpenedImage(_open(current, "the current picture"), None)
        raise TypeError(f"{CURRENT_IMAGE} is a {type(current).__name__}, which is no picture")

    def _block(self, block: Mapping[str, Any]) -> OpenedImage:
        """Open the image block of a message, in LangChain's form or a provider's that LangChain knows."""
        content: Mapping[str, Any] = HumanMessage(content=[dict(block)]).content_blocks[0]
        if content.get("file_id"):
            return self._named(str(content["file_id"]))
        if not content.get("base64"):
            raise ToolException("the current picture is not attached as base64 data; links are not followed")
        try:
            data = base64.b64decode(content["base64"], validate=True)
        except (binascii.Error, ValueError):
            raise ToolException("the current picture's base64 data is damaged: attach it again") from None
        return OpenedImage(_open(data, "the current picture"), None)

    def _named(self, reference: str) -> OpenedImage:
        name = repr(reference[:_LONGEST_ECHO])
        if "://" in reference or reference.lower().startswith(("data:", "file:")):
            raise ToolException(f"{name}: addresses are not opened; give the path of a file, or an id")
        source = self._from_sources(reference) or self._file(reference)
        if source is None:
            raise ToolException(
                f"{name}: there is no such picture among those that may be opened; check the spelling, and "
                "give a path relative to the allowed folder, or an id"
            )
        return OpenedImage(_open(source, name), reference)

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


__all__ = ["CURRENT_IMAGE", "ImageAccess", "ImageSource", "OpenedImage"]
