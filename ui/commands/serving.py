"""`assistant mcp`: the tools for programs that speak the Model Context Protocol."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from ...vlm.models.presets import DEFAULT_MODEL
from ..loading import open_store
from .options import DialectOption, ImagesOption, ModelOption, in_dialect
from .output import note
from .paths import named_path

if TYPE_CHECKING:
    from PIL import Image

    from ...vlm.grounding import GroundedPhrase


def mcp(
    model: ModelOption = DEFAULT_MODEL,
    dialect: DialectOption = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder whose images may be opened; repeat for more. [default: the working folder]",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--db", metavar="FILE|URL", help="Sessions whose images may be opened by their ids."),
    ] = None,
    images: ImagesOption = None,
) -> None:
    """Serve the tools over stdin and stdout (MCP).

    They are caption, vqa, refer, detect, ground, identify and list_pictures. A client may open the images
    below the folders that you name; your home folder and the root are refused.

    With --db, name a session's picture by its id: the `sha256` that `assistant ask --json` prints.

    Example, as a client's start command:

      assistant mcp --folder ~/Pictures
    """
    _require_mcp()
    from ...agent.session_images import SessionImages
    from ...tools import VisionToolkit
    from ...tools.mcp_server import serve

    model = in_dialect(model, dialect)
    folders = tuple(map(_folder, folder or [str(Path.cwd())]))
    with nullcontext() if database is None else open_store(database, images, make=False) as store:
        sources = (SessionImages(store),) if store else ()
        toolkit = VisionToolkit(model=model, folders=folders, sources=sources)
        if sys.stdin.isatty():
            note("Waiting for an MCP client, which starts this command itself; Ctrl-C stops.")
        serve(toolkit, _draw)


def _folder(name: str) -> Path:
    """Return a folder; clients start the command without a shell, which would expand a `~`.

    Raises:
        BadParameter: there is no such folder.
    """
    path = named_path(name)
    if not (name and path.is_dir()):
        raise typer.BadParameter(f"--folder {name!r}: there is no such folder; give the path of one")
    return path


def _require_mcp() -> None:
    """Require the `mcp` package in a supported version."""
    require("mcp", "`assistant mcp`")
    installed = version("mcp")
    if installed.partition(".")[0] != "2":
        raise AssistantError(
            f"`assistant mcp` needs mcp 2, and {installed} is installed: pip install 'mcp>=2,<3'"
        )


def _draw(image: Image.Image, phrases: Sequence[GroundedPhrase]) -> Image.Image:
    from ...vlm.drawing import draw  # slow import; not before the client gets its first reply

    return draw(image, phrases)
