"""The six tools that look at a picture: caption, vqa, refer, detect, ground and identify."""

from __future__ import annotations

from typing import ClassVar

from PIL import Image
from pydantic import BaseModel

from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.tasks import Task
from ..vlm.vision_language_model import VisionLanguageModel
from .arguments import (
    CaptionArguments,
    DetectArguments,
    GroundArguments,
    IdentifyArguments,
    ReferArguments,
    VqaArguments,
)
from .vision_tool import Found, VisionTool


class CaptionTool(VisionTool):
    """Say in a sentence what a picture shows."""

    task: ClassVar[Task] = Task.CAPTION
    name: str = "caption"
    description: str = "Say in one sentence what a picture shows. Gives no boxes."
    args_schema: type[BaseModel] = CaptionArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, _: str) -> Found:
        """Ask for a caption."""
        return Found(model.caption(image, region).text)


class VqaTool(VisionTool):
    """Answer a question about a picture (visual question answering)."""

    task: ClassVar[Task] = Task.VQA
    name: str = "vqa"
    description: str = (
        "Answer a question about a picture, or about a region of it, in a word or a short phrase. "
        "Gives no boxes: use refer or detect to ask where things are."
    )
    args_schema: type[BaseModel] = VqaArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Found:
        """Ask the question."""
        return Found(model.vqa(image, text, region).text)


class ReferTool(VisionTool):
    """Locate the one thing that an expression means (referring expression comprehension)."""

    task: ClassVar[Task] = Task.REFER
    name: str = "refer"
    description: str = (
        "Locate the one thing in a picture that an expression means. Gives one box in pixels with a "
        "confidence, or none; a low confidence often means that the thing is not there."
    )
    args_schema: type[BaseModel] = ReferArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Found:
        """Ask where it is."""
        box = model.refer(image, text, region).box
        if box is None:
            return Found(f'Nothing was found for "{text}".')
        return Found(f'Found "{text}".', (GroundedPhrase(text, (box,)),))


class DetectTool(VisionTool):
    """Find every box of a phrase, or of each thing that a sentence names (parse and ground)."""

    task: ClassVar[Task] = Task.DETECTION
    name: str = "detect"
    description: str = (
        "Find everything in a picture that a phrase means, such as all 'dogs', or each thing that a sentence "
        "names. Gives any number of boxes in pixels with confidences; count the boxes to count the things."
    )
    args_schema: type[BaseModel] = DetectArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Found:
        """Ask for every box."""
        found = model.detect(image, text, region).phrases
        count = sum(len(item.boxes) for item in found)
        if not count:
            return Found(f'Nothing was found for "{text}".')
        boxes = "box" if count == 1 else "boxes"
        return Found(f'Found {count} {boxes} for "{text}".', _named(found, text))


class GroundTool(VisionTool):
    """Describe a picture and locate what is named (grounded captioning)."""

    task: ClassVar[Task] = Task.GROUNDING
    name: str = "ground"
    description: str = (
        "Describe a picture in detail and locate what the description names, as boxes in pixels."
    )
    args_schema: type[BaseModel] = GroundArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Found:
        """Ask for a description with boxes."""
        grounded = model.ground(image, text, region)
        return Found(grounded.text, _named(grounded.phrases, "something"))


class IdentifyTool(VisionTool):
    """Name what is in a region of a picture (referring expression generation)."""

    task: ClassVar[Task] = Task.IDENTIFY
    name: str = "identify"
    description: str = "Say in a few words what is in one region of a picture, given in pixels."
    args_schema: type[BaseModel] = IdentifyArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, _: str) -> Found:
        """Ask what is there."""
        assert region is not None  # the arguments require it
        text = model.identify(image, region).text
        return Found(text, (GroundedPhrase(text, (region,)),) if text.strip() else ())


TOOLS: tuple[type[VisionTool], ...] = (
    CaptionTool,
    VqaTool,
    ReferTool,
    DetectTool,
    GroundTool,
    IdentifyTool,
)
"""Every tool that looks at a picture, in the order in which a toolkit gives them."""


def _named(phrases: tuple[GroundedPhrase, ...], otherwise: str) -> tuple[GroundedPhrase, ...]:
    """Name the boxes that the model wrote without a phrase."""
    return tuple(GroundedPhrase(phrase.text or otherwise, phrase.boxes) for phrase in phrases)


__all__ = ["TOOLS", "CaptionTool", "DetectTool", "GroundTool", "IdentifyTool", "ReferTool", "VqaTool"]
