"""The page on the real server with a scripted model; run as `served.py PORT`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamlit.web import cli

from assistant.agent.answer import UNSURE
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.commands.page import arguments
from assistant.ui.page import resources
from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.grounding import parse, with_scores
from assistant.vlm.vision_language_model import VisionLanguageModel


class SlowEngine(ScriptedEngine):
    """Answers in two batches of tokens, each of which takes the seconds in a file.

    Asked to count, it counts until stopped; it sees no unicorns, and is unsure about shadows.
    """

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        if listener is None:
            return super().generate(requests)
        asked = requests[0].argument
        if "count" in asked:
            return [count(listener)]
        if "unicorn" in asked:
            return [Generation(parse("none"), seconds=0.1)]
        answers = super().generate(requests)
        if "shadow" in asked:
            answers = [replace(it, grounded=with_scores(it.grounded, [UNSURE / 2])) for it in answers]
        return [in_two(answer.raw, answer, listener) for answer in answers]


def count(listener: GenerationListener) -> Generation:
    """Count until stopped."""
    written = ""
    for number in range(1, 1000):
        if listener.should_stop():
            break
        written += f"<p>{number}</p> "
        listener.on_text(0, written + "{<12><3")
        time.sleep(0.1)
    return Generation(parse(written), seconds=1.0, complete=False)


def in_two(raw: str, answer: Generation, listener: GenerationListener) -> Generation:
    """Write an answer in two batches, the first of two thirds; stop when told to."""
    written = ""
    for end in (2 * len(raw) // 3, len(raw)):
        until = time.monotonic() + seconds_per_batch()
        while time.monotonic() < until:
            if listener.should_stop():
                return Generation(parse(written), seconds=1.0, complete=False)
            time.sleep(0.02)
        written = raw[:end]
        listener.on_text(0, written)
    return answer


def seconds_per_batch() -> float:
    """Return how long a batch of tokens takes: the number in the file `seconds` next to the database."""
    try:
        return float(Path(os.environ["ASSISTANT_DB"]).with_name("seconds").read_text())
    except FileNotFoundError:
        return 0.0


def main() -> None:
    """Serve until killed."""
    model = VisionLanguageModel(SlowEngine())
    resources.load_model = lambda _: model  # type: ignore[attr-defined,assignment,misc]
    cli.main(arguments(int(sys.argv[1]), "127.0.0.1", browser=False))


if __name__ == "__main__":
    main()
