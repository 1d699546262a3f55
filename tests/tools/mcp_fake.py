"""A server for the tests of MCP, run as a module: tools over a fake model that prints where it must not."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from assistant.tools import VisionToolkit
from assistant.tools.mcp_server import serve
from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import SAMPLES, FakeEngine


class NoisyEngine(FakeEngine):
    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        print("printed", flush=True)
        os.write(1, b"written\n")
        subprocess.run(["echo", "by a child"], check=True)
        if requests[0].argument == "fail":
            raise RuntimeError("the secret is 42")
        if requests[0].argument == "endless":
            assert listener is not None
            try:
                while not listener.should_stop():
                    listener.on_text(0, "still looking")
                    time.sleep(0.01)
            finally:
                print("stopped early", flush=True)
        return super().generate(requests, listener)


if __name__ == "__main__":
    serve(VisionToolkit(model=VisionLanguageModel(NoisyEngine()), folders=(SAMPLES,)))
