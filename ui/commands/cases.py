"""Read planner cases from JSON lines, and write plans as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from ...agent.plan import PastStep, PastTurn, Plan, PlanContext
from ...vlm.data.skipped_rows import first_error
from ...vlm.errors import AssistantError
from ...vlm.grounding import Box
from ...vlm.tasks import CHAT, Task


class CaseError(AssistantError):
    """A line is not a valid case; the message names the line and the field."""


@dataclass(frozen=True)
class Case:
    """One request to plan."""

    id: str
    message: str
    context: PlanContext


def read_cases(lines: Iterable[str]) -> Iterator[Case]:
    """Read cases from JSON lines, `{"id", "history", "user", "region"}`; skip empty lines.

    Raises:
        CaseError: a line is not JSON, or a field is missing or has the wrong type.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _Line.model_validate(json.loads(line)).case
            except json.JSONDecodeError as error:
                raise CaseError(f"line {number}: not JSON: {error.msg} at column {error.colno}") from error
            except ValidationError as error:
                raise CaseError(f"line {number}: {first_error(error)}") from error
            except (ValueError, RecursionError) as error:  # numbers or nesting beyond Python's limits
                raise CaseError(f"line {number}: cannot be read: {error}") from error


def plan_form(case_id: str, plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values: `{"id", "steps": [{"task", "argument", "region"}]}`."""
    steps = [
        {
            "task": step.name,
            "argument": step.argument,
            "region": list(step.region.bins) if step.region else None,
        }
        for step in plan.steps
    ]
    return {"id": case_id, "steps": steps}


def _task(name: Any) -> Task | None:
    if name != CHAT and name not in list(Task):
        raise ValueError(f"no such task: {name!r}")
    return None if name == CHAT else Task(name)


def _box(value: Any) -> Box | None:
    if not isinstance(value, list) or len(value) != 4 or not all(type(number) is int for number in value):
        raise ValueError(f"four whole numbers are wanted, not {value!r}")
    return Box(*value)


_Corners = Annotated[Box, BeforeValidator(_box)]


class _Step(BaseModel):
    task: Annotated[Task | None, BeforeValidator(_task)]
    argument: str = Field("", alias="arg")
    boxes: tuple[_Corners, ...] = ()
    region: _Corners | None = None


class _Turn(BaseModel):
    user: str
    steps: list[_Step] = []
    answer: str = ""


class _Line(BaseModel):
    """A line; fields for scoring only are ignored."""

    id: str
    user: str
    history: list[_Turn] = []
    region: _Corners | None = None

    @property
    def case(self) -> Case:
        turns = (
            PastTurn(turn.user, tuple(PastStep(**dict(step)) for step in turn.steps), turn.answer)
            for turn in self.history
        )
        return Case(self.id, self.user, PlanContext(tuple(turns), self.region))
