"""`assistant chat`: a conversation about images in the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.tasks import Task
from ..loading import load_planner, open_store
from .model_options import ModelChoice, with_model_options
from .options import DatabaseOption, ImagesOption, PlannerOption, SessionOption, VerifyOption
from .output import note, say
from .paths import dropped_path, picture_in_place_of_words
from .pictures import check_drawing, note_missing_scores, open_shown, read_region, save_drawing

if TYPE_CHECKING:
    from ...agent.assistant import Assistant
    from ...storage import SessionStore, StoredImage, StoredTurn
    from ...vlm.grounding import Box
    from ...vlm.pictures import Picture

_PROMPT = "> "
_HELP = f"""\
/box X0,Y0,X1,Y1   ask the next question about this part of the image, in pixels
/task NAME         answer the next question with this task: {", ".join(Task)}
/adapter NAME      use this adapter of --adapter from now on; without NAME, the model's own
/image PATH        switch to another image; its path alone or dropping the file does the same
/save PATH         save the image with the boxes of the last answer
/help              show this
/quit              leave, like Ctrl-D; Ctrl-C stops an answer"""


@with_model_options
def chat(
    image: Annotated[
        Path | None,
        typer.Argument(metavar="IMAGE", help="An image file. [default: the last of the session]"),
    ] = None,
    session: SessionOption = None,
    verify: VerifyOption = False,
    planner: PlannerOption = None,
    database: DatabaseOption = None,
    images: ImagesOption = None,
    *,
    choice: ModelChoice,
) -> None:
    """Chat about images in the terminal; /help lists the commands.

    Examples:

      assistant chat photo.jpg

      assistant chat photo.jpg --temperature 0.6 --seed 1

      printf 'where is the dog?\\n/save found.png\\n' | assistant chat photo.jpg
    """
    from ...agent.assistant import Assistant

    chosen = load_planner(planner)
    with open_store(database, images, session=session) as store:
        if session is not None:
            session = store.find_session(session).id  # fail on an unknown id before loading the model
        earlier = _earlier_questions(store, session)
        source = image or _last_picture(store, session)
        picture = open_shown(source) if source else None
        conversation = _Conversation(
            Assistant(choice.load(), store, chosen), session, verify, choice.adapters
        )
        if picture:
            conversation.show(picture)
        done = True
        try:
            for line in _lines(earlier):
                done = conversation.take(line) and done
                if conversation.over:
                    break
        except KeyboardInterrupt:
            if not sys.stdin.isatty():  # a pipe with unanswered lines
                raise
            note()  # ends the prompt's line
        finally:
            if conversation.session:
                hint = f"Session {conversation.session}: continue with --session {conversation.session}"
                note(hint)
    if not done and not sys.stdin.isatty():
        raise typer.Exit(1)


class _Conversation:
    """The state of a chat, and how each input line changes it."""

    def __init__(
        self, assistant: Assistant, session: str | None, verify: bool, adapters: Iterable[str]
    ) -> None:
        self.session = session
        self.over = False
        self._assistant = assistant
        self._verify = verify
        self._adapters = tuple(adapters)
        self._picture: Picture | None = None
        self._kept: StoredImage | None = None
        self._region: Box | None = None
        self._task: Task | None = None
        self._answered: tuple[Picture, StoredTurn] | None = None

    def take(self, line: str) -> bool:
        """Handle an input line and return whether it succeeded; print an error that the user can fix."""
        text = line.removeprefix("\ufeff").strip()  # the byte order mark that some editors write
        try:
            if text and (dropped := picture_in_place_of_words(text)):
                self.show(open_shown(dropped))
            elif text.startswith("/"):
                name, _, rest = text.partition(" ")
                self._command(name, rest.strip())
            elif text:
                return self._ask(text)
        except AssistantError as error:
            note(f"Error: {error}")
            return False
        return True

    def show(self, picture: Picture) -> None:
        """Make an image the current one."""
        self._picture, self._kept = picture, self._assistant.store.add_image(picture)
        self._region = None
        if sys.stdin.isatty():
            size = f"{picture.width} x {picture.height} pixels"
            note(f"An image of {size}: ask about it. /help lists the commands.")

    def _ask(self, question: str) -> bool:
        from .live import live_answer, stopped_by_ctrl_c

        region, task = self._region, self._task
        self._region = self._task = None
        with live_answer() as answer, stopped_by_ctrl_c(answer):
            turn = self._assistant.ask(
                self.session,
                question,
                self._picture,
                self._kept,
                region,
                task,
                listener=answer,
                verify=self._verify,
            )
        self.session = turn.session_id
        self._answered = (self._picture, turn) if self._picture else None
        say(turn.answer)
        note_missing_scores(turn)
        return not turn.steps or not all(step.error for step in turn.steps)

    def _command(self, name: str, rest: str) -> None:
        try:
            match name:
                case "/box":
                    self._region = read_region(rest, self._shown())
                case "/task":
                    self._task = _task(rest)
                case "/adapter":
                    self._switch(rest)
                case "/image":
                    self.show(open_shown(_path(rest)))
                case "/save":
                    self._save(_path(rest))
                case "/help":
                    note(_HELP)
                case "/quit":
                    self.over = True
                case _:
                    raise AssistantError(f"there is no command {name}: /help lists them")
        except ValueError as error:
            raise AssistantError(f"{name} {error}") from error

    def _shown(self) -> Picture:
        if self._picture is None:
            raise AssistantError("there is no image yet: /image PATH shows one")
        return self._picture

    def _switch(self, adapter: str) -> None:
        if adapter and adapter not in self._adapters:
            known = (
                f"one of {', '.join(self._adapters)}" if self._adapters else "those of --adapter NAME=FOLDER"
            )
            raise ValueError(f"takes {known}, not {adapter!r}")
        self._assistant.model = self._assistant.model.with_adapter(adapter)

    def _save(self, path: Path) -> None:
        if self._answered is None:
            raise AssistantError("there is no answer about an image yet: ask something first")
        picture, turn = self._answered
        check_drawing(path, picture.path)
        save_drawing(picture, turn, path)


def _lines(earlier: list[str]) -> Iterator[str]:
    """Yield lines from a pipe, or typed ones, with line editing and earlier questions in the history."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are not valid text
    if not sys.stdin.isatty():
        yield from iter(sys.stdin.readline, "")  # iterating over the file would close it with this generator
        return
    with suppress(ImportError):  # Windows has line editing built in
        import readline

        for question in earlier:
            readline.add_history(question)
    with suppress(EOFError):
        while True:
            yield input(_PROMPT if sys.stdout.isatty() else "")
    note()  # ends the line of Ctrl-D


def _earlier_questions(store: SessionStore, session: str | None) -> list[str]:
    return [turn.user for turn in store.turns(session)] if session else []


def _last_picture(store: SessionStore, session: str | None) -> Path | None:
    seen = [turn.image for turn in store.turns(session) if turn.image] if session else []
    return store.image_path(seen[-1].sha256) if seen else None


def _path(text: str) -> Path:
    if not text:
        raise ValueError("takes the path of a file")
    return dropped_path(text)


def _task(text: str) -> Task:
    if text not in list(Task):
        raise ValueError(f"takes one of {', '.join(Task)}, not {text!r}")
    return Task(text)
