"""A model without weights, and tools over it that may open the sample photos."""

from __future__ import annotations

import pytest
from langchain_core.tools import BaseTool

from assistant.tools import VisionToolkit
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import SAMPLES, FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def toolkit(engine: FakeEngine) -> VisionToolkit:
    return VisionToolkit(model=VisionLanguageModel(engine), folders=(SAMPLES,))


@pytest.fixture
def tools(toolkit: VisionToolkit) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in toolkit.get_tools()}
