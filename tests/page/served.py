"""The page on the real server with a scripted model; run as `served.py PORT`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from streamlit.web import cli

from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.commands.page import arguments
from assistant.ui.page import resources
from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.grounding import parse
from assistant.vlm.vision_language_model import VisionLanguageModel


class SlowEngine(ScriptedEngine):
    """Counts until stopped if asked to count; answers everything else by script."""

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        if listener is None or "count" not in requests[0].argument:
            return super().generate(requests, listener)
        said = ""
        for number in range(1, 1000):
            if listener.wants_stop():
                break
            said += f"<p>{number}</p> "
            listener.heard(0, said + "{<12><3")
            time.sleep(0.1)
        return [Generation(parse(said), seconds=1.0, complete=False)]


def main() -> None:
    """Serve until killed."""
    model = VisionLanguageModel(SlowEngine())
    resources.load_model = lambda _: model
    cli.main(arguments(int(sys.argv[1]), "127.0.0.1", browser=False))


if __name__ == "__main__":
    main()
