"""What the shipped model plans rightly, counted by kind: a change that loses one message is seen.

`passes.json` holds the counts over every fifth message that is held out; write them anew, after another
adapter, by `python tests/agent/test_counted.py`.
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
    """Return, by kind, how many messages are planned as is wanted, and how many there are."""
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
def test_as_many_messages_of_each_kind_are_planned_rightly_as_before() -> None:
    assert counted() == json.loads(PASSES.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PASSES.write_text(json.dumps(counted(), indent=1) + "\n", encoding="utf-8")
