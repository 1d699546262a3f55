"""The page served by the real server, with a model that answers by script; run as `served.py PORT`."""

from __future__ import annotations

import sys

from streamlit.web import cli

from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.commands.page import arguments
from assistant.ui.page import resources
from assistant.vlm.vision_language_model import VisionLanguageModel


def main() -> None:
    """Serve until somebody ends it."""
    resources.load_model = lambda _: VisionLanguageModel(ScriptedEngine())
    cli.main(arguments(int(sys.argv[1]), "127.0.0.1", browser=False))


if __name__ == "__main__":
    main()
