"""Options that several commands share, and the helpers that apply them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from ...vlm.models.presets import PRESETS, require_model
from .. import loading
from ..loading import open_store

if TYPE_CHECKING:
    from ...vlm.vision_language_model import VisionLanguageModel


def complete_session(incomplete: str) -> list[tuple[str, str]]:
    """Return (id, title) of the newest sessions whose id starts with `incomplete`, for shell completion."""
    try:
        with open_store(None, make=False) as store:
            found = store.list_sessions(50)
    except AssistantError:
        return []
    return [(session.id, session.title) for session in found if session.id.startswith(incomplete)]


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER|URL",
        help="A model's name, an adapter's or model's folder, or a server's address: http://host:8000/v1#name.",
        autocompletion=lambda: list(PRESETS),
    ),
]
BaseOption = Annotated[
    Path | None,
    typer.Option("--base", metavar="FOLDER", help="The base model of an adapter, if it was moved."),
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="float32, float16 or bfloat16.  [default: the fastest on this machine]",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="cpu, cuda, cuda:1, mps, or auto: all GPUs and main memory.  [default: the first GPU, or cpu]",
    ),
]
QuantizeOption = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        metavar="8bit|4bit",
        help="Take half or a quarter of the memory, e.g. 4bit for 7B on 8 GB; needs bitsandbytes.",
    ),
]
DialectOption = Annotated[
    str | None,
    typer.Option(
        "--dialect",
        metavar="NAME",
        help="The prompt format of a model on a server.  [default: by its name]",
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        help="The sessions: a file, or postgresql://user@host/database. [env: ASSISTANT_DB]",
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="FOLDER",
        file_okay=False,
        help="The folder of the sessions' images. [env: ASSISTANT_IMAGES]  [default: next to the file]",
    ),
]
VerifyOption = Annotated[
    bool,
    typer.Option("--verify", help="Ask the model again about each box, and say where it disagrees."),
]
PlannerOption = Annotated[
    str | None,
    typer.Option(
        "--planner",
        metavar="PROVIDER:MODEL",
        help="Plan with a LangChain chat model, e.g. ollama:qwen3: it reads the text and sees no image.",
    ),
]
SessionOption = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="ID",
        help="Continue a session; the first characters of its id are enough.",
        autocompletion=complete_session,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def wrong_use(option: str) -> Iterator[None]:
    """Turn a `ValueError` about an option's value into a usage error."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from error


def require_pipe(file: str, command: str) -> None:
    """Refuse to read a file from the keyboard.

    Raises:
        BadParameter: stdin is a terminal.
    """
    if sys.stdin.isatty():
        raise typer.BadParameter(f"nothing is piped in: cat {file} | assistant {command}")


def in_dialect(model: str, dialect: str | None) -> str:
    """Return the name of a model with the chosen dialect, if any, without loading it.

    Raises:
        AssistantError: there is no such model, or its address is malformed.
    """
    from ...vlm.engine.address import is_address, read_address, with_dialect

    if not is_address(model):
        require_model(model)
    elif read_address(model):
        require("remote", "a model behind an address")
    if dialect is None:
        return model
    from ...vlm.engine.dialects.registry import DIALECTS

    if dialect not in DIALECTS:
        raise typer.BadParameter(f"--dialect takes one of {', '.join(DIALECTS)}, not {dialect!r}")
    with wrong_use("--dialect"):
        return with_dialect(model, dialect)


def load_model(
    name: str,
    base: Path | None = None,
    *,
    dtype: str | None = None,
    device: str | None = None,
    quantize: str | None = None,
    **more: Any,
) -> VisionLanguageModel:
    """Load a model with the options' values; `more` are further arguments of `loading.load_model`.

    Raises:
        BadParameter: `dtype`, `device` or `quantize` is unknown.
        AssistantError: the model cannot be loaded.
    """
    from ...vlm.engine.address import is_address

    if (dtype or device or quantize) and not is_address(name):
        from ...vlm.engine.placement import Placement
        from ...vlm.engine.precision import precision

        try:
            Placement(device, precision(dtype), quantize)
        except ValueError as error:
            raise typer.BadParameter(f"--{error}") from error
    return loading.load_model(name, base, dtype=dtype, device=device, quantize=quantize, **more)
