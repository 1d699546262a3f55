"""The generator of the planner's messages."""

from __future__ import annotations

import json

from assistant.vlm.data.planning.generate import HERE, Generator


def test_the_messages_in_the_package_are_those_that_the_generator_writes() -> None:
    with (HERE / "generated.jsonl").open(encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines]
    assert Generator(1).shuffled() == kept
