"""LangChain's own suites for tools, on each of the six."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from assistant.tools import ImageAccess, VisionTool
from assistant.tools.tasks import TOOLS
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import SAMPLES, FakeEngine

EXAMPLES: dict[str, dict[str, Any]] = {
    "CaptionTool": {},
    "VqaTool": {"question": "What colour is it?", "region": [10, 20, 200, 150.5]},
    "ReferTool": {"expression": "the cat"},
    "DetectTool": {"phrase": "eyes"},
    "GroundTool": {"instruction": "describe the face"},
    "IdentifyTool": {"region": [10, 20, 200, 150]},
}


@pytest.mark.parametrize("subject", TOOLS, ids=lambda subject: subject.__name__, scope="class")
class _EachTool:
    """Gives LangChain's suites one of our tools after the other."""

    @pytest.fixture(autouse=True)
    def _take(self, subject: type[VisionTool]) -> None:
        self.subject = subject

    @property
    def tool_constructor(self) -> type[VisionTool]:
        return self.subject

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"model": VisionLanguageModel(FakeEngine()), "images": ImageAccess([SAMPLES])}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"image": "cat.jpg"} | EXAMPLES[self.subject.__name__]


class TestUnit(_EachTool, ToolsUnitTests):
    pass


class TestIntegration(_EachTool, ToolsIntegrationTests):
    pass
