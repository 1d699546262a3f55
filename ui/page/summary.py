"""Summarize how a turn was answered in one line: "Found 2 dogs, 1.2 s"."""

from __future__ import annotations

from assistant.agent.answer import counted, is_unsure
from assistant.agent.turn import NOTHING_SAID
from assistant.storage import StoredStep, StoredTurn
from assistant.vlm.tasks import CHAT, Task

_DONE = {
    Task.CAPTION: "Described the image",
    Task.VQA: "Answered from the image",
    Task.GROUNDING: "Described the image",
    Task.IDENTIFY: "Named what is in the box",
    CHAT: "Replied",
}


def of(turn: StoredTurn) -> str:
    """Return the steps of a turn and its time in seconds as one line."""
    if turn.stopped:  # what was not found may not have been written yet
        after = f"after {turn.seconds:.1f} s"
        return after.capitalize() if turn.answer == NOTHING_SAID else f"You stopped this answer {after}"
    done = [_step(step) for step in turn.steps]
    if turn.corrections is not None:
        done.append("boxes corrected by you")
    line = ", then ".join([*done[:1], *(words[:1].lower() + words[1:] for words in done[1:])])
    return f"{line or 'Replied'}, {turn.seconds:.1f} s"


def _step(step: StoredStep) -> str:
    if step.error is not None:
        return "Failed"
    boxes = step.boxes
    if step.task not in (Task.REFER, Task.DETECTION):
        count = f" with {len(boxes)} box{'' if len(boxes) == 1 else 'es'}" if boxes else ""
        return _DONE.get(step.name, "Answered") + count
    if not boxes:
        return f"Did not find {step.argument or 'it'}"
    if step.task == Task.REFER:
        score = "" if boxes[0].score is None else f" ({boxes[0].score:.0%})"
        return f"{'Perhaps found' if is_unsure(boxes[0]) else 'Found'} {step.argument or 'it'}{score}"
    named = [(phrase.text or step.argument, len(phrase.boxes)) for phrase in step.phrases]
    return f"Found {' and '.join(counted(name, count) for name, count in named)}"
