"""The six vision tools: caption, vqa, refer, detect, ground and identify."""

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
from .vision_tool import Findings, VisionTool


class CaptionTool(VisionTool):
    """Caption an image in a sentence.

    >>> CaptionTool(model=model).invoke({"image": "cat.jpg"})
    'a cat on a rug'
    """

    task: ClassVar[Task] = Task.CAPTION
    name: str = "caption"
    description: str = "Say in one sentence what an image shows. Gives no boxes."
    args_schema: type[BaseModel] = CaptionArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, _: str) -> Findings:
        """Ask for a caption."""
        return Findings(model.caption(image, region).text)


class VqaTool(VisionTool):
    """Answer a question about an image (visual question answering).

    >>> VqaTool(model=model).invoke({"image": "cat.jpg", "question": "what colour is the cat?"})
    'brown'
    """

    task: ClassVar[Task] = Task.VQA
    name: str = "vqa"
    description: str = (
        "Answer a question about an image, or about a region of it, in a word or a short phrase. "
        "Gives no boxes: use refer or detect to ask where things are."
    )
    args_schema: type[BaseModel] = VqaArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        """Ask the question."""
        return Findings(model.vqa(image, text, region).text)


class ReferTool(VisionTool):
    """Locate the referent of an expression (referring expression comprehension).

    >>> print(ReferTool(model=model).invoke({"image": "cat.jpg", "expression": "the cat"}).splitlines()[-1])
    - the cat: [45.1, 60, 225.5, 300], confidence 83%
    """

    task: ClassVar[Task] = Task.REFER
    name: str = "refer"
    description: str = (
        "Locate the one thing in an image that an expression means. Gives one box in pixels with a "
        "confidence, or none; a low confidence often means that the thing is not there."
    )
    args_schema: type[BaseModel] = ReferArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        """Ask for the referent's box."""
        box = model.refer(image, text, region).box
        if box is None:
            return Findings(f'Nothing was found for "{text}".')
        return Findings(f'Found "{text}".', (GroundedPhrase(text, (box,)),))


class DetectTool(VisionTool):
    """Find every box of a phrase, or of each thing that a sentence names (detection).

    >>> DetectTool(model=model).invoke({"image": "cat.jpg", "phrase": "eyes"}).splitlines()[0]
    'Found 2 boxes for "eyes".'
    """

    task: ClassVar[Task] = Task.DETECTION
    name: str = "detect"
    description: str = (
        "Find everything in an image that a phrase means, such as all 'dogs', or each thing that a sentence "
        "names. Gives any number of boxes in pixels with confidences; count the boxes to count the things."
    )
    args_schema: type[BaseModel] = DetectArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        """Ask for every box."""
        found = model.detect(image, text, region).phrases
        count = sum(len(item.boxes) for item in found)
        if not count:
            return Findings(f'Nothing was found for "{text}".')
        boxes = "box" if count == 1 else "boxes"
        return Findings(f'Found {count} {boxes} for "{text}".', _named(found, text))


class GroundTool(VisionTool):
    """Describe an image and locate what the description names (grounded captioning).

    >>> GroundTool(model=model).invoke({"image": "cat.jpg"}).splitlines()[0]
    'a cat with a nose'
    """

    task: ClassVar[Task] = Task.GROUNDING
    name: str = "ground"
    description: str = (
        "Describe an image in detail and locate what the description names, as boxes in pixels."
    )
    args_schema: type[BaseModel] = GroundArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        """Ask for a description with boxes."""
        grounded = model.ground(image, text, region)
        return Findings(grounded.text, _named(grounded.phrases, "something"))


class IdentifyTool(VisionTool):
    """Name what is in a region of an image (referring expression generation).

    >>> IdentifyTool(model=model).invoke({"image": "cat.jpg", "region": [0, 0, 90, 60]}).splitlines()[0]
    'a tabby cat'
    """

    task: ClassVar[Task] = Task.IDENTIFY
    name: str = "identify"
    description: str = "Say in a few words what is in one region of an image, given in pixels."
    args_schema: type[BaseModel] = IdentifyArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, _: str) -> Findings:
        """Ask for a referring expression."""
        assert region is not None  # required by the arguments
        text = model.identify(image, region).text
        return Findings(text, (GroundedPhrase(text, (region,)),) if text.strip() else ())


TOOLS: tuple[type[VisionTool], ...] = (
    CaptionTool,
    VqaTool,
    ReferTool,
    DetectTool,
    GroundTool,
    IdentifyTool,
)
"""The vision tools, in the order of the toolkit."""


def _named(phrases: tuple[GroundedPhrase, ...], default: str) -> tuple[GroundedPhrase, ...]:
    """Give boxes without a phrase a default one."""
    return tuple(GroundedPhrase(phrase.text or default, phrase.boxes) for phrase in phrases)
