"""`assistant sessions`: list, show, search, export, import and delete saved sessions."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ...vlm.errors import AssistantError, one_line
from ..loading import open_store
from .options import DatabaseOption, ImagesOption, JsonOption, complete_session, require_pipe
from .output import note, say, say_json, say_json_text, write_whole

if TYPE_CHECKING:
    from ...storage import SearchHit, SessionStore, SessionSummary

Found = TypeVar("Found")

app = typer.Typer(help="List, show, search, export, import and delete sessions.", no_args_is_help=True)

SessionArgument = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="A session's id as `list` shows it, or its first characters.",
        autocompletion=complete_session,
    ),
]


def complete_format(incomplete: str) -> list[tuple[str, str]]:
    """Return (name, title) of the formats that start with `incomplete`, for shell completion."""
    from ...storage.exporting import FORMATS

    return [(name, form.title) for name, form in FORMATS.items() if name.startswith(incomplete)]


@app.command("list")
def list_sessions(
    database: DatabaseOption = None, images: ImagesOption = None, as_json: JsonOption = False
) -> None:
    """List the sessions, newest first, with the local time of their last turn."""
    found = _query(database, images, lambda store: store.list_sessions())
    if as_json:
        say_json([_summary(session) for session in found])
        return
    for session in found:
        updated = session.updated.astimezone()  # in local time
        about = f"{updated:%Y-%m-%d %H:%M}  {_turns(session):>10}  {one_line(session.title)}"
        owner = f"  ({session.owner})" if session.owner else ""
        say(f"{session.id}  {about}{owner}")


@app.command()
def show(
    session: SessionArgument,
    database: DatabaseOption = None,
    images: ImagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session's turns."""
    with open_store(database, images, session=session) as store:
        summary = store.find_session(session)
        turns = store.turns(summary.id)
        if as_json:
            say_json_text(store.export_json(summary.id))
            return
    say(f"{summary.title} ({summary.id})")
    for turn in turns:
        tasks = " ".join(f"[{step.name}]" for step in turn.steps)
        say(f"\n{turn.number}. {turn.user}\n   {tasks} {turn.answer}")


@app.command()
def search(
    words: Annotated[str, typer.Argument(metavar="WORDS", help="Words of a question or an answer.")],
    database: DatabaseOption = None,
    images: ImagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find turns by their words."""
    hits = _query(database, images, lambda store: store.search(words))
    if as_json:
        say_json([_hit(hit) for hit in hits])
        return
    for hit in hits:
        say(f"{hit.session_id} turn {hit.number}: {one_line(hit.snippet)}")
    if not hits:
        note("Nothing found.")


@app.command()
def export(
    session: SessionArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A file; for markdown, yolo and voc a folder or a .zip file."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="What to write: json, markdown, coco, yolo or voc.",
            autocompletion=complete_format,
        ),
    ] = "json",
    database: DatabaseOption = None,
    images: ImagesOption = None,
) -> None:
    """Write a session as JSON (which `import` reads), as Markdown with images, or its boxes for detectors.

    COCO is one file of annotations; YOLO and Pascal VOC come with the images.

    Examples:

      assistant sessions export 3f2a --format coco --out boxes.json

      assistant sessions export 3f2a --format yolo --out dataset
    """
    from ...storage.exporting import FORMATS

    if form not in FORMATS:
        raise typer.BadParameter(f"--format takes one of {', '.join(FORMATS)}, not {form!r}")
    is_archive = FORMATS[form].is_archive
    if is_archive and out is None:
        raise typer.BadParameter(f"--format {form} needs --out FOLDER, for the images")
    with open_store(database, images, session=session) as store:
        content = store.export(store.find_session(session).id, form)
    if out is None:
        say_json_text(content.decode())
        return
    if is_archive and out.suffix.lower() != ".zip":
        try:
            zipfile.ZipFile(BytesIO(content)).extractall(out)
        except OSError as error:
            raise AssistantError(f"cannot write {out}: {error.strerror}") from error
    else:
        write_whole(out, content)
    say(str(out))


@app.command("import")
def import_session(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A session exported as JSON, or - for stdin.")],
    database: DatabaseOption = None,
    images: ImagesOption = None,
) -> None:
    """Import a session that was exported as JSON."""
    if str(path) == "-":
        require_pipe("session.json", "sessions import -")
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise AssistantError(f"cannot read {path}: {error.strerror}") from error
    with open_store(database, images) as store:
        say(store.import_json(content).id)


@app.command()
def delete(
    session: SessionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    database: DatabaseOption = None,
    images: ImagesOption = None,
) -> None:
    """Delete a session, and the images that no other session uses."""
    with open_store(database, images, session=session) as store:
        summary = store.find_session(session)
        if not (yes or sys.stdin.isatty()):
            raise AssistantError(f"no terminal to confirm on: give --yes to delete {summary.title!r}")
        if not yes:
            typer.confirm(f"Delete {summary.title!r} with {_turns(summary)}?", abort=True, err=True)
        store.delete_session(summary.id)
    note(f"Deleted {summary.id}")


def _query(
    database: str | None, images: Path | None, query: Callable[[SessionStore], list[Found]]
) -> list[Found]:
    """Query the store; return nothing if the default database does not exist yet."""
    from ...storage import DatabaseMissingError

    try:
        with open_store(database, images, make=False) as store:
            return query(store)
    except DatabaseMissingError:
        if database is not None:
            raise
        return []


def _summary(session: SessionSummary) -> dict[str, Any]:
    return {
        "id": session.id,
        "title": session.title,
        "created": session.created.isoformat(),
        "updated": session.updated.isoformat(),
        "turns": session.turns,
        "owner": session.owner,
    }


def _hit(hit: SearchHit) -> dict[str, Any]:
    return {
        "session": hit.session_id,
        "title": hit.session_title,
        "turn": hit.number,
        "snippet": hit.snippet,
        "created": hit.created.isoformat(),
    }


def _turns(session: SessionSummary) -> str:
    return f"{session.turns} turn{'' if session.turns == 1 else 's'}"
