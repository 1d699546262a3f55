"""The command line: `assistant …`.

Answers go to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 wrong usage, 130 stopped
by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import takewhile
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..vlm.errors import AssistantError
from ..vlm.extras import DISTRIBUTION
from .commands import asking, chatting, evaluation, model_server, models, page, serving, sessions, training
from .commands.output import INTERRUPTED, note, replace_closed_streams, replace_unencodable, say
from .commands.paths import is_file

EPILOG = """Examples:

  assistant ask photo.jpg "where is the dog?" --save found.png

  assistant ask photo.jpg "[vqa] what colour is the ball?" --json

  assistant ask *.jpg "find all dogs" --json

  assistant chat photo.jpg

  assistant plan "find the cat and describe the picture"
"""


class StoppableGroup(TyperGroup):
    """Reports that Ctrl-C stopped a command; the parser itself would exit silently."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            Exit: with 130, if Ctrl-C stopped it.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            note("Stopped.")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="assistant",
    cls=StoppableGroup,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"assistant {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask a question about an image; get the answer in words and as boxes."""


app.command("ask", cls=asking.AskCommand)(asking.ask)
app.command("chat")(chatting.chat)
app.command("plan")(asking.plan)
app.add_typer(sessions.app, name="sessions")
app.add_typer(models.app, name="models")
app.command("train")(training.train)
app.command("evaluate")(evaluation.evaluate)
app.command("mcp")(serving.mcp)
app.command("serve")(model_server.serve)
app.command("ui")(page.ui)


def _refuse_dashed_files(arguments: Sequence[str]) -> None:
    """Exit if a file, as of the pattern `*.jpg`, would be read as an option."""
    for name in takewhile(lambda argument: argument != "--", arguments):
        if name.startswith("-") and "." in name and is_file(name):
            note(f"Error: the file {name} reads as an option: write ./{name}, or ./* for a pattern")
            sys.exit(2)


def main() -> None:
    """Run the command line; an error that the user can fix is one line on stderr and exit code 1."""
    replace_closed_streams()
    replace_unencodable()
    _refuse_dashed_files(sys.argv[1:])
    try:
        app()
    except (AssistantError, OSError) as error:  # OSError: output cannot be written, e.g. the disk is full
        if os.environ.get("ASSISTANT_DEBUG"):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.filename is None else error
        note(f"Error: {reason}")
        sys.exit(1)
