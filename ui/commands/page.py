"""`assistant ui`: the chat in the browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from ..page import settings
from .options import (
    DEFAULT_MODEL,
    DatabaseOption,
    DialectOption,
    ModelOption,
    PlannerOption,
    database_location,
    in_dialect,
    load_planner,
)
from .paths import named_path

PAGE = Path(settings.__file__).with_name("app.py")
SERVER = PAGE.with_name("serve.py")
_STOP_SECONDS = 10


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The page's port.")] = 8501,
    address: Annotated[
        str, typer.Option(help="Who can reach it: 127.0.0.1 this computer only, 0.0.0.0 everybody.")
    ] = "127.0.0.1",
    planner: PlannerOption = None,
    model: ModelOption = DEFAULT_MODEL,
    dialect: DialectOption = None,
    database: DatabaseOption = None,
    browser: Annotated[
        bool, typer.Option(" /--no-browser", show_default=False, help="Do not open a browser.")
    ] = True,
) -> None:
    """Chat about pictures in the browser.

    Example:

      assistant ui --port 8600 --no-browser
    """
    require("page", "`assistant ui`")
    model = in_dialect(model, dialect)
    location = database_location(database)
    kept = location if "://" in location else str(named_path(location).absolute())
    load_planner(planner)  # fail here, not in the page, if a package or key is missing
    environment = {**os.environ, settings.MODEL: model, settings.DATABASE: kept}
    environment[settings.PLANNER] = planner or ""
    command = [sys.executable, "-m", "streamlit", *arguments(port, address, browser)]
    typer.echo(f"The chat is at http://{address}:{port} (Ctrl-C stops it)", err=True)
    code = _run(command, environment)
    if code > 0:  # below 0: ended by a signal
        raise AssistantError(f"the page could not be served; is port {port} taken? Try another --port")


def arguments(port: int, address: str, browser: bool) -> list[str]:
    """Return Streamlit's arguments; its other settings are in `.streamlit/config.toml` of the page."""
    return [
        "run",
        str(SERVER),
        f"--server.port={port}",
        f"--server.address={address}",
        f"--server.headless={'false' if browser else 'true'}",
    ]


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run until it ends or the user presses Ctrl-C, which reaches it as well; return its exit code."""
    with subprocess.Popen(command, env=environment, stdout=sys.stderr.fileno()) as process:
        # A SIGTERM to this program, e.g. from a service manager, ends the page too.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                process.kill()
            raise


__all__ = ["arguments", "ui"]
