"""Count the messages that the shipped model plans correctly, by kind, so that every regression shows.

`passes.json` holds the counts over every fifth held-out message; after training another adapter, update it by
`python tests/agent/test_counted.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from assistant.vlm.data.messages import read_messages
from assistant.vlm.engine.language_model import default_language_model
from assistant.vlm.evaluation.planning import completion, same_plan

PASSES = Path(__file__).with_name("passes.json")
EVERY = 5


def counted() -> dict[str, list[int]]:
    """Return the number of correct plans and of messages, by kind."""
    messages = read_messages(held_out=True)[::EVERY]
    written = default_language_model().complete([completion(message) for message in messages])
    right = Counter(
        message.line.kind
        for message, it in zip(messages, written, strict=True)
        if same_plan(message.plan, it.text)
    )
    return {
        kind: [right[kind], count]
        for kind, count in sorted(Counter(message.line.kind for message in messages).items())
    }


@pytest.mark.skipif(not PASSES.is_file(), reason="the shipped adapter has not been counted")
def test_no_kind_of_message_is_planned_worse_than_before() -> None:
    assert counted() == json.loads(PASSES.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PASSES.write_text(json.dumps(counted(), indent=1) + "\n", encoding="utf-8")
