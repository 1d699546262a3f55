"""Planner cases as JSON lines: a line in, a message with its context out; a plan in, a line out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..vlm.errors import AssistantError
from ..vlm.grounding import Box
from ..vlm.tasks import Task
from .plan import CHAT, PastStep, PastTurn, Plan, PlanContext


class CaseError(AssistantError):
    """A line is no case; the message names the line and the field."""


@dataclass(frozen=True)
class Case:
    """One request to plan."""

    id: str
    message: str
    context: PlanContext


def read_cases(lines: Iterable[str]) -> Iterator[Case]:
    """Read cases from JSON lines, `{"id", "history", "user", "region"}`; empty lines are passed over.

    Raises:
        CaseError: a line is not JSON, or a field is missing or of the wrong kind.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _case(json.loads(line))
            except json.JSONDecodeError as error:
                raise CaseError(f"line {number}: not JSON: {error.msg} at column {error.colno}") from error
            except CaseError as error:
                raise CaseError(f"line {number}: {error}") from error
            except (ValueError, RecursionError) as error:  # numbers or nesting beyond what Python reads
                raise CaseError(f"line {number}: cannot be read: {error}") from error


def plan_line(case_id: str, plan: Plan) -> str:
    """Write a plan as one JSON line, `{"id", "steps": [{"task", "argument", "region"}]}`."""
    steps = [
        {
            "task": step.name,
            "argument": step.argument,
            "region": list(step.region.bins) if step.region else None,
        }
        for step in plan.steps
    ]
    line = json.dumps({"id": case_id, "steps": steps}, ensure_ascii=False)
    return line.encode(errors="backslashreplace").decode()  # half a surrogate pair stays an escape


def _case(value: Any) -> Case:
    if not isinstance(value, dict):
        raise CaseError("not an object")
    turns = tuple(
        _turn(turn, f"history[{index}]") for index, turn in enumerate(_list(value, "history", "history"))
    )
    region = value.get("region")
    context = PlanContext(turns, None if region is None else _box(region, "region"))
    return Case(_text(value, "id", "id"), _text(value, "user", "user"), context)


def _turn(value: Any, where: str) -> PastTurn:
    if not isinstance(value, dict):
        raise CaseError(f"{where}: not an object")
    steps = tuple(
        _step(step, f"{where}.steps[{index}]")
        for index, step in enumerate(_list(value, "steps", f"{where}.steps"))
    )
    answer = _text({"answer": "", **value}, "answer", f"{where}.answer")
    return PastTurn(_text(value, "user", f"{where}.user"), steps, answer)


def _step(value: Any, where: str) -> PastStep:
    if not isinstance(value, dict):
        raise CaseError(f"{where}: not an object")
    name = _text(value, "task", f"{where}.task")
    if name != CHAT and name not in set(Task):
        raise CaseError(f"{where}.task: no such task: {name!r}")
    boxes = tuple(
        _box(box, f"{where}.boxes[{index}]")
        for index, box in enumerate(_list({"boxes": [], **value}, "boxes", f"{where}.boxes"))
    )
    region = value.get("region")
    argument = _text({"arg": "", **value}, "arg", f"{where}.arg")
    task = None if name == CHAT else Task(name)
    return PastStep(task, argument, boxes, None if region is None else _box(region, f"{where}.region"))


def _text(value: dict[str, Any], field: str, where: str) -> str:
    found = value.get(field)
    if not isinstance(found, str):
        raise CaseError(f"{where}: a text is wanted, not {found!r}")
    return found


def _list(value: dict[str, Any], field: str, where: str) -> list[Any]:
    found = value.get(field, [])
    if not isinstance(found, list):
        raise CaseError(f"{where}: a list is wanted, not {found!r}")
    return found


def _box(value: Any, where: str) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(type(number) is int for number in value):
        raise CaseError(f"{where}: four whole numbers are wanted, not {value!r}")
    try:
        return Box(*value)
    except ValueError as error:
        raise CaseError(f"{where}: {error}") from error
