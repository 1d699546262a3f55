"""`assistant` with a model that never finishes and a disk that never does; takes the same arguments.

Says `working` on stderr when it is time to interrupt.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from assistant.ui import cli
from assistant.ui.commands import model_options
from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import ScriptedEngine

ENDLESS = 600.0
STEP = 0.1


def work() -> None:
    print("working", file=sys.stderr, flush=True)
    for _ in range(int(ENDLESS / STEP)):  # a signal just before a sleep is noticed after it
        time.sleep(STEP)


class EndlessEngine(ScriptedEngine):
    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        if requests[0].argument == "what never ends?":
            work()
        return super().generate(requests, listener)


def write_half(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        work()


if __name__ == "__main__":
    model_options.load_model = lambda *_, **__: VisionLanguageModel(EndlessEngine())  # type: ignore[attr-defined]
    if "export" in sys.argv:
        Path.write_bytes = write_half  # type: ignore[assignment,method-assign]
    sys.argv[0] = "assistant"
    cli.main()
