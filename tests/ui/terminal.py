"""`assistant` with a slow scripted model, for tests in a terminal; takes the same arguments."""

from __future__ import annotations

import sys

from assistant.ui import cli
from assistant.ui.commands import model_options
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import ScriptedEngine

if __name__ == "__main__":
    engine = ScriptedEngine({Task.CAPTION: "a dog runs " + "and runs " * 200 + "home"})
    engine.seconds_per_word = 0.05
    model_options.load_model = lambda *_, **__: VisionLanguageModel(engine)  # type: ignore[attr-defined]
    sys.argv[0] = "assistant"
    cli.main()
