"""`assistant ask` and `assistant plan`."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    VerifyOption,
    in_dialect,
    load_model,
    load_planner,
    open_store,
    quieten_libraries,
    wrong_use,
)
from .output import note, say, say_json, say_json_text
from .pictures import check_drawing, open_shown, read_region, save_drawing, tell_missing_confidence

if TYPE_CHECKING:
    from ...agent.turn import StepResult, TurnResult
    from ...storage import StoredTurn, Verification
    from ...vlm.pictures import Picture


def ask(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A picture file, or - for stdin.")],
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
        typer.Option(metavar="PICTURE", help="Write the picture with the boxes drawn on it."),
    ] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Go on with a session.")] = None,
    verify: VerifyOption = False,
    planner: PlannerOption = None,
    model: ModelOption = DEFAULT_MODEL,
    base: BaseOption = None,
    dtype: DtypeOption = None,
    dialect: DialectOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a picture a question.

    Examples:

      assistant ask photo.jpg "where is the dog?" --save found.png

      assistant ask photo.jpg "what is this?" --region 40,60,200,220

      cat photo.jpg | assistant ask - "how many people are there?" --json

      assistant ask photo.jpg "where is the dog?" --model http://localhost:8000/v1
    """
    from ...agent.assistant import Assistant
    from ...agent.identifiers import check_asked
    from .live import live_answer

    model = in_dialect(model, dialect)
    question = question.encode(errors="replace").decode()  # a terminal may pass on what is no UTF-8
    picture = open_shown(sys.stdin.buffer.read() if image == "-" else image)
    with wrong_use("--save"):
        if save is not None:
            check_drawing(save)
    with wrong_use("--region"):
        box = None if region is None else read_region(region, picture)
    check_asked(question, task, box)
    chosen = load_planner(planner)
    with open_store(database, session=session) as store:
        if session is not None:
            session = store.find_session(session).id  # an unknown one is told before the model works for it
        assistant = Assistant(load_model(model, base, dtype=dtype), store, chosen)
        kept = store.add_image(picture)  # what was seen, also where a pipe can be read only once
        with live_answer(quiet=as_json) as live:
            turn, result = assistant.ask(
                session, question, picture, kept, box, task, listener=live, verify=verify
            )
    if as_json:
        say_json(_as_json(turn, result, picture))
    else:
        say(result.answer)
        tell_missing_confidence(result)
        note(f"Session {turn.session_id}: go on with --session {turn.session_id}")
    if save:
        save_drawing(picture, result, save)
    if all(step.error for step in result.steps):
        raise typer.Exit(1)


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
