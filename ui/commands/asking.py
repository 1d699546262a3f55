"""`assistant ask` and `assistant plan`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ...vlm.errors import AssistantError, one_line
from ...vlm.tasks import Task
from ..loading import load_planner, open_store, quieten_libraries
from .model_options import ModelChoice, with_model_options
from .options import (
    DatabaseOption,
    ImagesOption,
    JsonOption,
    PlannerOption,
    SessionOption,
    VerifyOption,
    require_pipe,
    wrong_use,
)
from .output import note, say, say_json
from .paths import expand, given_path, names_picture
from .pictures import (
    check_drawing,
    drawings_in,
    note_missing_scores,
    open_shown,
    read_region,
    save_drawing,
)

if TYPE_CHECKING:
    from ...agent.assistant import Assistant
    from ...agent.plan import MessagePlanner
    from ...storage import SessionStore, StoredStep, StoredTurn
    from ...vlm.grounding import Box
    from ...vlm.pictures import Picture
    from ...vlm.vision_language_model import VisionLanguageModel


_EXAMPLE = 'assistant ask photo.jpg "where is the dog?"'


class AskCommand(TyperCommand):
    """Says which argument is missing; the parser itself takes a lone image for the question."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            BadParameter: an image or the question is missing, or an option's value is wrong.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if getattr(error.param, "name", None) != "images":
                raise
            missing = "QUESTION" if any(map(names_picture, given)) else "IMAGE"
            raise typer.BadParameter(f"the {missing} is missing: {_EXAMPLE}", ctx) from error


@with_model_options
def ask(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Image files or patterns, or - for stdin.")
    ],
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", help="What to ask in plain words; `[refer] …` picks the task."),
    ],
    task: Annotated[Task | None, typer.Option(help="Pick the task by hand.")] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Ask about this part of the image, in pixels."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Save the image with its boxes drawn on it; a folder for several."
        ),
    ] = None,
    session: SessionOption = None,
    verify: VerifyOption = False,
    planner: PlannerOption = None,
    database: DatabaseOption = None,
    image_folder: ImagesOption = None,
    as_json: JsonOption = False,
    *,
    choice: ModelChoice,
) -> None:
    """Ask a question about an image, or about each of several.

    Several images are answered one by one, in one session: one line each, with --json one object each.

    Examples:

      assistant ask photo.jpg "where is the dog?" --save found.png

      assistant ask *.jpg "find all dogs" --json > found.jsonl

      assistant ask photo.jpg "what is this?" --region 40,60,200,220

      cat photo.jpg | assistant ask - "how many people are there?" --json

      assistant ask photo.jpg "where is the dog?" --model http://localhost:8000/v1

      assistant ask photo.jpg "write a poem about it" --model minigpt-v2 --quantize 4bit --temperature 0.6
    """
    if names_picture(question):
        raise typer.BadParameter(
            f"the QUESTION is missing, or not the last: {question} is a file; {_EXAMPLE}"
        )
    if "-" in images:
        require_pipe("photo.jpg", 'ask - "where is the dog?"')
    pictures = expand(images)
    question = question.encode(errors="replace").decode()  # arguments may be invalid UTF-8
    asked = _Question(question, task, region, _drawings(save, pictures), verify, as_json)
    chosen = load_planner(planner)
    with ExitStack() as stack:

        @cache
        def store() -> SessionStore:  # opened late: an image that cannot be read leaves no database behind
            return stack.enter_context(open_store(database, image_folder, session=session))

        if session is not None:
            session = store().find_session(session).id  # fail on an unknown id before the model runs
        asker = _Asker(asked, lambda: _assistant(store(), choice.load(), chosen), session)
        done = asker.one(pictures[0]) if len(pictures) == 1 else asker.each(pictures)
    if not done:
        raise typer.Exit(1)


def _assistant(store: SessionStore, model: VisionLanguageModel, planner: MessagePlanner | None) -> Assistant:
    from ...agent.assistant import Assistant

    return Assistant(model, store, planner)


def _drawings(save: Path | None, pictures: list[str]) -> dict[str, Path]:
    """Return the output path for each image; create the folder for several."""
    if save is None:
        return {}
    with wrong_use("--save"):
        if len(pictures) == 1:
            check_drawing(save, given_path(pictures[0]))
            return {pictures[0]: save}
        return drawings_in(save, pictures)


@dataclass(frozen=True)
class _Question:
    """The question for every image, and what to do with the answers."""

    text: str
    task: Task | None
    region: str | None
    drawings: dict[str, Path]
    verify: bool
    as_json: bool


class _Asker:
    """Asks about images one after another in one session; loads the model after the first image opens."""

    def __init__(self, question: _Question, load: Callable[[], Assistant], session: str | None) -> None:
        self._question = question
        self._assistant = cache(load)
        self._session = session

    def one(self, name: str, *, among_others: bool = False) -> bool:
        """Ask about one image, and return whether any step succeeded.

        Raises:
            AssistantError: the image cannot be opened, or the turn cannot be stored.
            BadParameter: the region is not inside the image.
        """
        from ...agent.identifiers import check_asked
        from .live import live_answer

        asked = self._question
        picture = open_shown(sys.stdin.buffer if name == "-" else given_path(name))
        with wrong_use("--region"):
            region = None if asked.region is None else read_region(asked.region, picture)
        check_asked(asked.text, asked.task, region)
        assistant = self._assistant()
        kept = assistant.store.add_image(picture)  # store the bytes read: a pipe can be read only once
        with live_answer(quiet=asked.as_json) as live:
            turn = assistant.ask(
                self._session,
                asked.text,
                picture,
                kept,
                region,
                asked.task,
                listener=live,
                verify=asked.verify,
            )
        self._session = turn.session_id
        if asked.as_json:
            say_json(_as_json(turn, picture))
        else:
            say(f"{one_line(name)}: {turn.answer}" if among_others else turn.answer)
            note_missing_scores(turn)
        if not (asked.as_json or among_others):
            self._print_session()
        saved = name not in asked.drawings or _saved(picture, turn, asked.drawings[name])
        return saved and not all(step.error for step in turn.steps)

    def each(self, names: list[str]) -> bool:
        """Ask about every image, and return whether all succeeded; a failure does not stop the others."""
        done = True
        for number, name in enumerate(names, 1):
            if sys.stderr.isatty():
                note(f"[{number}/{len(names)}] {name}")
            try:
                done = self.one(name, among_others=True) and done
            except (AssistantError, typer.BadParameter) as error:
                done = False
                self._print_failure(name, str(error))
        if not self._question.as_json:
            self._print_session()
        return done

    def _print_failure(self, name: str, error: str) -> None:
        note(f"Error: {error}" if name in error else f"Error: {name}: {error}")
        if self._question.as_json:
            say_json({"image": {"path": name}, "error": error})

    def _print_session(self) -> None:
        if self._session:
            note(f"Session {self._session}: continue with --session {self._session}")


def _saved(picture: Picture, turn: StoredTurn, path: Path) -> bool:
    """Save the drawing and return whether that succeeded; the answer is printed already."""
    try:
        save_drawing(picture, turn, path)
    except AssistantError as error:
        note(f"Error: {error}")
        return False
    return True


def plan(
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="A user's message.")] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Read cases on stdin, a JSON object a line; write their plans.")
    ] = False,
    planner: PlannerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a message would be answered, without running it.

    Examples:

      assistant plan "describe the picture and find the dog"

      assistant plan --jsonl < cases.jsonl > plans.jsonl
    """
    from ...agent.plan import PlanContext
    from ...agent.planner import Planner
    from .cases import plan_form, read_cases

    if jsonl == (message is not None):
        raise typer.BadParameter("give either a message or --jsonl")
    if jsonl:
        require_pipe("cases.jsonl", "plan --jsonl")
    quieten_libraries()
    chosen = load_planner(planner) or Planner()
    if jsonl:
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        for case in read_cases(lines):
            say_json(plan_form(case.id, chosen.plan(case.message, case.context)))
        return
    made = chosen.plan(str(message).encode(errors="replace").decode(), PlanContext())
    if as_json:
        say_json(plan_form("", made) | {"why": made.why})
        return
    for step in made.steps:
        where = f" in {list(step.region.bins)}" if step.region else ""
        if step.region_from is not None:
            where = f" (in the box that step {step.region_from + 1} finds)"
        say(f"[{step.name}] {step.argument}{where}".rstrip())
    note(f"Why: {made.why}")


def _as_json(turn: StoredTurn, picture: Picture) -> dict[str, Any]:
    return {
        "session": turn.session_id,
        "turn": turn.number,
        "image": {
            "path": picture.path,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.sha256,
        },
        "answer": turn.answer,
        "steps": [_step_as_json(step, (picture.width, picture.height)) for step in turn.steps],
        "model": turn.model,
        "seconds": round(turn.seconds, 3),
    }


def _step_as_json(step: StoredStep, size: tuple[int, int]) -> dict[str, Any]:
    from ...tools.results import in_pixels

    return {
        "task": step.name,
        "argument": step.argument,
        "region": in_pixels(step.region, size) if step.region else None,
        "text": step.text,
        "raw": step.raw,
        "boxes": [_box_as_json(phrase.text, box, size) for phrase in step.phrases for box in phrase.boxes],
        "seconds": round(step.seconds, 3),
    } | ({"error": step.error} if step.error else {})


def _box_as_json(phrase: str, box: Box, size: tuple[int, int]) -> dict[str, Any]:
    """Return a box as the tools do, and the model's check of it if there was one."""
    from ...storage.forms import verification_of
    from ...tools.results import FoundBox

    verification = verification_of(box)
    found = FoundBox.of(phrase, box, size).model_dump()
    return found | ({"verified": asdict(verification)} if verification else {})
