"""Unnatural Instructions, `core_data.jsonl`: text-only instructions, which preserve the ability to chat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..records import Record, TaskTurn
from .base import LinesFile, Published, parse_line


class Instance(Published):
    """An instruction with its input and answer."""

    instruction_with_input: str
    constraints: str | None
    output: str


class Instruction(Published):
    """One line."""

    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class UnnaturalInstructions(LinesFile):
    """The instructions of one file; with `reference`, constraints of the word "none" are kept too."""

    reference: bool = False

    def records(self, content: bytes) -> Iterator[Record]:
        """Return a record for each instance of an instruction."""
        row = Instruction.model_validate(parse_line(content))
        for instance in row.instances:
            asked = [instance.instruction_with_input]
            constraints = instance.constraints
            if constraints and (self.reference or constraints.strip(". ").lower() != "none"):
                asked.append(constraints)
            yield Record(None, (TaskTurn(None, " ".join(asked), instance.output.strip()),))
