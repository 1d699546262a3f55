"""`assistant ask` and `assistant plan`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...vlm.errors import AssistantError
from ...vlm.tasks import Task
from .options import (
    DEFAULT_MODEL,
    BaseOption,
    DatabaseOption,
    DialectOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    PlannerOption,
    SessionOption,
    VerifyOption,
    in_dialect,
    load_model,
    load_planner,
    open_store,
    quieten_libraries,
    wrong_use,
)
from .output import note, say, say_json, say_json_text
from .paths import expand, given_path, is_file
from .pictures import (
    check_drawing,
    drawings_in,
    open_shown,
    read_region,
    save_drawing,
    tell_missing_confidence,
)

if TYPE_CHECKING:
    from ...agent.assistant import Assistant
    from ...agent.plan import MessagePlanner
    from ...agent.turn import StepResult, TurnResult
    from ...storage import SessionStore, StoredTurn, Verification
    from ...vlm.pictures import Picture
    from ...vlm.vision_language_model import VisionLanguageModel


def ask(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Picture files or patterns, or - for stdin.")
    ],
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", help="What to ask in plain words; `[refer] …` picks the task."),
    ],
    task: Annotated[Task | None, typer.Option(help="Pick the task by hand.")] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Ask about this part of the picture, in pixels."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Write the picture with the boxes drawn on it; of several, a folder."
        ),
    ] = None,
    session: SessionOption = None,
    verify: VerifyOption = False,
    planner: PlannerOption = None,
    model: ModelOption = DEFAULT_MODEL,
    base: BaseOption = None,
    dtype: DtypeOption = None,
    dialect: DialectOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a picture a question, or each of several.

    Several pictures are answered one by one, in one session: a line each, with --json an object each.

    Examples:

      assistant ask photo.jpg "where is the dog?" --save found.png

      assistant ask *.jpg "find all dogs" --json > found.jsonl

      assistant ask photo.jpg "what is this?" --region 40,60,200,220

      cat photo.jpg | assistant ask - "how many people are there?" --json

      assistant ask photo.jpg "where is the dog?" --model http://localhost:8000/v1
    """
    model = in_dialect(model, dialect)
    pictures = expand(images)
    if is_file(question):
        raise typer.BadParameter(f"the QUESTION is missing: {question} is a file")
    question = question.encode(errors="replace").decode()  # a terminal may pass on what is no UTF-8
    asked = _Question(question, task, region, _drawings(save, pictures), verify, as_json)
    chosen = load_planner(planner)
    with open_store(database, session=session) as store:
        if session is not None:
            session = store.find_session(session).id  # an unknown one is told before the model works for it
        asking = _Asking(
            asked, lambda: _assistant(load_model(model, base, dtype=dtype), store, chosen), session
        )
        done = asking.one(pictures[0]) if len(pictures) == 1 else asking.each(pictures)
    if not done:
        raise typer.Exit(1)


def _assistant(model: VisionLanguageModel, store: SessionStore, planner: MessagePlanner | None) -> Assistant:
    from ...agent.assistant import Assistant

    return Assistant(model, store, planner)


def _drawings(save: Path | None, pictures: list[str]) -> dict[str, Path]:
    """Return where the drawing of each picture goes; the folder for several is made."""
    if save is None:
        return {}
    with wrong_use("--save"):
        if len(pictures) == 1:
            check_drawing(save)
            return {pictures[0]: save}
        return drawings_in(save, pictures)


@dataclass(frozen=True)
class _Question:
    """What is asked of every picture, and what is done with the answer."""

    words: str
    task: Task | None
    region: str | None
    drawings: dict[str, Path]
    verify: bool
    as_json: bool


class _Asking:
    """Asks pictures, one after another in one session; the model is loaded once the first was opened."""

    def __init__(self, question: _Question, load: Callable[[], Assistant], session: str | None) -> None:
        self._question = question
        self._assistant = cache(load)
        self._session = session

    def one(self, name: str, *, among_others: bool = False) -> bool:
        """Ask one picture, and return whether anything came of it.

        Raises:
            AssistantError: it cannot be opened, or its answer cannot be kept.
            BadParameter: it has no such region.
        """
        from ...agent.identifiers import check_asked
        from .live import live_answer

        asked = self._question
        picture = open_shown(sys.stdin.buffer.read() if name == "-" else given_path(name))
        with wrong_use("--region"):
            region = None if asked.region is None else read_region(asked.region, picture)
        check_asked(asked.words, asked.task, region)
        assistant = self._assistant()
        kept = assistant.store.add_image(picture)  # what was seen, also where a pipe can be read only once
        with live_answer(quiet=asked.as_json) as live:
            turn, result = assistant.ask(
                self._session,
                asked.words,
                picture,
                kept,
                region,
                asked.task,
                listener=live,
                verify=asked.verify,
            )
        self._session = turn.session_id
        if asked.as_json:
            say_json(_as_json(turn, result, picture))
        else:
            say(f"{name}: {result.answer}" if among_others else result.answer)
            tell_missing_confidence(result)
        if not (asked.as_json or among_others):
            self._tell_session()
        if name in asked.drawings:
            save_drawing(picture, result, asked.drawings[name])
        return not all(step.error for step in result.steps)

    def each(self, names: list[str]) -> bool:
        """Ask every picture, and return whether something came of each; one that fails leaves the others."""
        done = True
        for number, name in enumerate(names, 1):
            if sys.stderr.isatty():
                note(f"[{number}/{len(names)}] {name}")
            try:
                done = self.one(name, among_others=True) and done
            except (AssistantError, typer.BadParameter) as error:
                done = False
                self._tell_failure(name, str(error))
        if not self._question.as_json:
            self._tell_session()
        return done

    def _tell_failure(self, name: str, error: str) -> None:
        note(f"Error: {error}" if name in error else f"Error: {name}: {error}")
        if self._question.as_json:
            say_json({"image": {"path": name}, "error": error})

    def _tell_session(self) -> None:
        if self._session:
            note(f"Session {self._session}: go on with --session {self._session}")


def plan(
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="What a person might ask.")] = None,
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
    from .cases import plan_line, read_cases

    if jsonl == (message is not None):
        raise typer.BadParameter("give either a message or --jsonl")
    quieten_libraries()
    chosen = load_planner(planner) or Planner()
    if jsonl:
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        for case in read_cases(lines):
            say_json_text(plan_line(case.id, chosen.plan(case.message, case.context)))
        return
    made = chosen.plan(str(message).encode(errors="replace").decode(), PlanContext())
    if as_json:
        say_json(json.loads(plan_line("", made)) | {"why": made.why})
        return
    for step in made.steps:
        where = f" in {list(step.region.bins)}" if step.region else ""
        if step.region_from is not None:
            where = f" (in the box that step {step.region_from + 1} finds)"
        say(f"[{step.name}] {step.argument}{where}".rstrip())
    note(f"Why: {made.why}")


def _as_json(turn: StoredTurn, result: TurnResult, picture: Picture) -> dict[str, Any]:
    return {
        "session": turn.session_id,
        "turn": turn.number,
        "image": {
            "path": picture.path,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.sha256,
        },
        "answer": result.answer,
        "steps": [_step_as_json(step, picture) for step in result.steps],
        "model": turn.model,
        "seconds": round(result.seconds, 3),
    }


def _step_as_json(result: StepResult, picture: Picture) -> dict[str, Any]:
    region = result.step.region
    size = (picture.width, picture.height)
    boxes = [(phrase, box) for phrase in result.phrases for box in phrase.boxes]
    return {
        "task": result.step.name,
        "argument": result.step.argument,
        "region": [round(value, 1) for value in region.to_pixels(*size)] if region else None,
        "text": result.text,
        "raw": result.raw,
        "boxes": [
            {
                "phrase": phrase.text,
                "box": [round(value, 1) for value in box.to_pixels(*size)],
                "bins": list(box.bins),
                "score": None if box.score is None else round(box.score, 4),
            }
            | _verified(verification)
            for (phrase, box), verification in zip_longest(boxes, result.verifications)
        ],
        "seconds": round(result.seconds, 3),
    } | ({"error": result.error} if result.error else {})


def _verified(verification: Verification | None) -> dict[str, Any]:
    """Return what the model said of a box when it was asked back; nothing where it was not."""
    return {} if verification is None else {"verified": asdict(verification)}


__all__ = ["ask", "plan"]
