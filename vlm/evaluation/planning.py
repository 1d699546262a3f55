"""The planning suite: whether the model writes the wanted plans for held-out messages, by kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from ..answers import Completion, Continuation
from ..data.messages import Message
from ..planning import MOST_TOKENS, SEPARATOR
from .answers import normalise
from .metrics import proportion
from .provenance import provenance

BATCH = 16


class PlanningModel(Protocol):
    """A named model that completes texts."""

    @property
    def name(self) -> str:
        """The model's name."""

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Complete texts."""


def evaluate_planning(
    model: PlanningModel,
    messages: Sequence[Message],
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Return a report like that of `evaluate`, with one suite `planning`.

    `plan` is the share of right plans, with arguments compared without case, articles and punctuation, for
    all messages and by kind; `tasks` is the share of plans with the right tasks and boxes.
    """
    start = time.perf_counter()
    written: list[Continuation] = []
    for first in range(0, len(messages), BATCH):
        batch = messages[first : first + BATCH]
        written += model.complete([completion(message) for message in batch])
        if progress is not None:
            progress("planning", len(written), len(messages))
    pairs = list(zip(messages, written, strict=True))
    whole = [same_plan(message.plan, it.text) for message, it in pairs]
    tasks = [_tasks(message.plan) == _tasks(it.text) for message, it in pairs]
    kinds = sorted({message.line.kind for message in messages})
    measures = {"plan": proportion(whole), "tasks": proportion(tasks)}
    for kind in kinds:
        of_kind = [place for place, message in enumerate(messages) if message.line.kind == kind]
        measures[f"plan: {kind}"] = proportion([whole[place] for place in of_kind])
    result = {
        "items": len(messages),
        "seconds": round(time.perf_counter() - start, 1),
        "measures": {name: asdict(figure) for name, figure in measures.items()},
        "cut": sum(not it.complete for it in written),
        "notes": [],
        "answers": [
            {"asked": message.prompt.text, "raw": it.text, "wanted": [message.plan], "quality": float(hit)}
            for (message, it), hit in zip(pairs, whole, strict=True)
        ],
    }
    data = {"name": "planning", "split": "held out", "pictures": 0, "limit": None}
    return {**provenance(model.name), "data": data, "unfinished": [], "tasks": {"planning": result}}


def completion(message: Message) -> Completion:
    """Return the completion to ask the model for."""
    prompt = message.prompt
    copied = f" {message.line.user[:1].lower()}{message.line.user[1:]}"
    return Completion(prompt.text, prompt.choices, copied, MOST_TOKENS)


def same_plan(wanted: str, written: str) -> bool:
    """Return whether two plans have the same tasks, boxes and normalised arguments."""
    return list(map(normalise, wanted.split(SEPARATOR))) == list(map(normalise, written.split(SEPARATOR)))


def _tasks(plan: str) -> list[list[str]]:
    """Return each step's task, with its box or reply."""
    steps = (step.split()[:2] for step in plan.split(SEPARATOR))
    return [
        words if len(words) < 2 or words[1][:1] in "RTA" or words[0] == "chat" else words[:1]
        for words in steps
    ]
