"""`assistant ui`: the chat in the browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from ...vlm.models.presets import DEFAULT_MODEL
from ..loading import database_location, image_folder, load_planner, open_store
from ..page import settings
from .options import (
    DatabaseOption,
    DialectOption,
    ImagesOption,
    ModelOption,
    PlannerOption,
    in_dialect,
)
from .output import note
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
    images: ImagesOption = None,
    browser: Annotated[
        bool, typer.Option(" /--no-browser", show_default=False, help="Do not open a browser.")
    ] = True,
    shared: Annotated[
        bool | None,
        typer.Option(
            "--shared/--separate",
            show_default=False,
            help="Everybody sees all sessions, or each visitor their own.  "
            "[default: separate, unless only this computer can reach the page]",
        ),
    ] = None,
    user_header: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The header in which a proxy names the visitor: X-Forwarded-User."),
    ] = None,
    links: Annotated[bool, typer.Option("--links", help="Let sessions have read-only links.")] = False,
    most_pictures: Annotated[
        int, typer.Option(min=0, help="Images of one visitor with separate sessions; 0: no limit.")
    ] = settings.Limits.pictures,
    most_megabytes: Annotated[
        int, typer.Option(min=0, help="Their size in MB; 0: no limit.")
    ] = settings.Limits.megabytes,
    most_waiting: Annotated[
        int, typer.Option(min=0, help="Waiting questions of one visitor; 0: no limit.")
    ] = settings.Limits.waiting,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line. [env: ASSISTANT_LOG=json]")
    ] = False,
) -> None:
    """Chat about images in the browser.

    Examples:

      assistant ui --port 8600 --no-browser

      assistant ui --address 0.0.0.0 --links --db postgresql://me@server/assistant --images /mnt/pictures
    """
    require("page", "`assistant ui`")
    model = in_dialect(model, dialect)
    location = database_location(database)
    folder = image_folder(images)
    load_planner(planner)  # fail here, not in the page, if a package or key is missing
    if "://" in location:
        open_store(location, folder).close()  # and if the server cannot be reached
    else:
        location = str(named_path(location).absolute())
    given = {
        settings.MODEL: model,
        settings.DATABASE: location,
        settings.IMAGES: str(folder.absolute()) if folder else "",
        settings.PLANNER: planner or "",
        settings.SESSIONS: _whose_sessions(shared, address, user_header),
        settings.USER_HEADER: user_header or "",
        settings.LINKS: "1" if links else "",
        settings.LIMITS: str(settings.Limits(most_pictures, most_megabytes, most_waiting)),
        **({settings.LOG: "json", "STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE": "true"} if log_json else {}),
    }
    environment = {**os.environ, **given}
    command = [sys.executable, "-m", "streamlit", *arguments(port, address, browser)]
    if not log_json:
        note(f"The chat is at http://{address}:{port} (Ctrl-C stops it)")
    code = _run(command, environment)
    if code > 0:
        raise AssistantError(f"the page could not be served; is port {port} taken? Try another --port")
    if -code not in (0, signal.SIGINT, signal.SIGTERM):
        raise AssistantError(f"the page was killed by signal {-code}; is there too little memory?")


def _whose_sessions(shared: bool | None, address: str, user_header: str | None) -> settings.Sessions:
    """Return whose sessions a visitor sees; on an address of this computer alone there is one person."""
    if shared and user_header:
        raise typer.BadParameter("--shared and --user-header exclude each other")
    if shared is not None or user_header:
        return settings.Sessions.SHARED if shared else settings.Sessions.SEPARATE
    try:
        is_local = ip_address(address).is_loopback
    except ValueError:  # a name
        is_local = address == "localhost"
    return settings.Sessions.LOCAL if is_local else settings.Sessions.SEPARATE


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
