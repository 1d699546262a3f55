"""The tool that lists the available images."""

from __future__ import annotations

from itertools import islice
from typing import Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from .arguments import NoArguments
from .results import PictureList, one_line
from .vision_tool import PictureTool, messages_of

MAX_LISTED = 100
"""The maximum number of images to list."""


class ListPicturesTool(PictureTool):
    """List the images that the tools can open: attached to messages, from sources, and files.

    >>> "- cat.jpg" in ListPicturesTool().invoke({}).splitlines()
    True
    """

    name: str = "list_pictures"
    description: str = (
        "List the images that the other tools can look at, by the path or id to give as `image`. "
        "Not needed where the current image is meant."
    )
    args_schema: type[BaseModel] = NoArguments

    def _run(self, runtime: Any = None, *, config: RunnableConfig) -> tuple[str, PictureList]:
        names = dict.fromkeys(self.images.names(config, messages_of(runtime)))
        found = PictureList(pictures=list(islice(names, MAX_LISTED)), more=len(names) > MAX_LISTED)
        lines = [f"- {one_line(name)}" for name in found.pictures]
        return "\n".join([*lines, *(["and more"] if found.more else [])]) or "There is no image.", found
