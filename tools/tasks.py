"""The six tools: caption, vqa, refer, detect, ground and identify."""

from __future__ import annotations

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from ..vlm.grounding import GroundedPhrase
from ..vlm.pictures import Picture
from ..vlm.tasks import Task
from .arguments import (
    CaptionArguments,
    DetectArguments,
    GroundArguments,
    IdentifyArguments,
    ReferArguments,
    VqaArguments,
)
from .vision_tool import Found, Output, VisionTool, region_box


class CaptionTool(VisionTool):
    """Say in a sentence what a picture shows."""

    name: str = "caption"
    description: str = "Say in one sentence what a picture shows. Gives no boxes."
    args_schema: type[BaseModel] = CaptionArguments

    def _run(self, image: str | None = None, *, config: RunnableConfig) -> Output:
        def look(picture: Picture) -> Found:
            return Found(self.model.get().caption(picture.image).text)

        return self._answer(Task.CAPTION, look, image, config)


class VqaTool(VisionTool):
    """Answer a question about a picture (visual question answering)."""

    name: str = "vqa"
    description: str = (
        "Answer a question about a picture, or about a region of it, in a word or a short phrase. "
        "Gives no boxes: use refer or detect to ask where things are."
    )
    args_schema: type[BaseModel] = VqaArguments

    def _run(
        self,
        question: str,
        image: str | None = None,
        region: list[float] | None = None,
        *,
        config: RunnableConfig,
    ) -> Output:
        def look(picture: Picture) -> Found:
            box = region_box(region, picture) if region else None
            return Found(self.model.get().vqa(picture.image, question, box).text)

        return self._answer(Task.VQA, look, image, config)


class ReferTool(VisionTool):
    """Locate the one thing that an expression means (referring expression comprehension)."""

    name: str = "refer"
    description: str = (
        "Locate the one thing in a picture that an expression means. Gives one box in pixels with a "
        "confidence, or none; a low confidence often means that the thing is not there."
    )
    args_schema: type[BaseModel] = ReferArguments

    def _run(self, expression: str, image: str | None = None, *, config: RunnableConfig) -> Output:
        def look(picture: Picture) -> Found:
            box = self.model.get().refer(picture.image, expression).box
            if box is None:
                return Found(f'Nothing was found for "{expression}".')
            return Found(f'Found "{expression}".', (GroundedPhrase(expression, (box,)),))

        return self._answer(Task.REFER, look, image, config)


class DetectTool(VisionTool):
    """Find every box of a phrase, or of each thing that a sentence names (parse and ground)."""

    name: str = "detect"
    description: str = (
        "Find everything in a picture that a phrase means, such as all 'dogs', or each thing that a sentence "
        "names. Gives any number of boxes in pixels with confidences; count the boxes to count the things."
    )
    args_schema: type[BaseModel] = DetectArguments

    def _run(self, phrase: str, image: str | None = None, *, config: RunnableConfig) -> Output:
        def look(picture: Picture) -> Found:
            found = self.model.get().detect(picture.image, phrase).phrases
            count = sum(len(item.boxes) for item in found)
            if not count:
                return Found(f'Nothing was found for "{phrase}".')
            return Found(
                f'Found {count} {"box" if count == 1 else "boxes"} for "{phrase}".', _named(found, phrase)
            )

        return self._answer(Task.DETECTION, look, image, config)


class GroundTool(VisionTool):
    """Describe a picture and locate what is named (grounded captioning)."""

    name: str = "ground"
    description: str = (
        "Describe a picture in detail and locate what the description names, as boxes in pixels."
    )
    args_schema: type[BaseModel] = GroundArguments

    def _run(
        self, instruction: str | None = None, image: str | None = None, *, config: RunnableConfig
    ) -> Output:
        def look(picture: Picture) -> Found:
            grounded = self.model.get().ground(picture.image, instruction)
            return Found(grounded.text, _named(grounded.phrases, "something"))

        return self._answer(Task.GROUNDING, look, image, config)


class IdentifyTool(VisionTool):
    """Name what is in a region of a picture (referring expression generation)."""

    name: str = "identify"
    description: str = "Say in a few words what is in one region of a picture, given in pixels."
    args_schema: type[BaseModel] = IdentifyArguments

    def _run(self, region: list[float], image: str | None = None, *, config: RunnableConfig) -> Output:
        def look(picture: Picture) -> Found:
            box = region_box(region, picture)
            text = self.model.get().identify(picture.image, box).text
            return Found(text, (GroundedPhrase(text, (box,)),) if text.strip() else ())

        return self._answer(Task.IDENTIFY, look, image, config)


TOOLS: tuple[type[VisionTool], ...] = (
    CaptionTool,
    VqaTool,
    ReferTool,
    DetectTool,
    GroundTool,
    IdentifyTool,
)
"""Every tool, in the order in which a toolkit gives them."""


def _named(phrases: tuple[GroundedPhrase, ...], otherwise: str) -> tuple[GroundedPhrase, ...]:
    """Name the boxes that the model wrote without a phrase."""
    return tuple(GroundedPhrase(phrase.text or otherwise, phrase.boxes) for phrase in phrases)


__all__ = ["TOOLS", "CaptionTool", "DetectTool", "GroundTool", "IdentifyTool", "ReferTool", "VqaTool"]
