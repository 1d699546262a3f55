"""Read the datasets of the paper in their published layouts.

`SOURCES` maps their names to their readers and default places under the data folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...tasks import Task
from ..configuration import SourceConfig
from .aokvqa import AokVqa
from .base import Source
from .coco import CocoCaptions
from .flickr30k import Flickr30kEntities, Form
from .gqa import Gqa
from .grit import Grit
from .llava import Llava
from .ocrvqa import OcrVqa
from .refcoco import RefCoco
from .textcaps import TextCaps
from .unnatural import UnnaturalInstructions
from .visual_genome import VisualGenome
from .vqa import Vqa
from .web_pairs import WebPairs

Reader = Callable[[Path, Path, str], Source]
"""From the paths of annotations and images, and a split, to a dataset."""


@dataclass(frozen=True)
class Layout:
    """The reader of a dataset, and the places of its annotations and images under the data folder."""

    reader: Reader
    path: str
    pictures: str = ""


def _refcoco(name: str, edition: str, task: Task) -> Layout:
    return Layout(
        lambda path, pictures, split: RefCoco(path, pictures, task, edition, split), f"refcoco/{name}", "coco"
    )


def _llava(file: str) -> Layout:
    return Layout(lambda path, pictures, _: Llava(path, pictures), file, "coco")


def _flickr30k(form: Form) -> Layout:
    return Layout(
        lambda path, pictures, split: Flickr30kEntities(path, pictures, form, split),
        "flickr30k_entities",
        "flickr30k_entities/flickr30k-images",
    )


def _grit(task: Task) -> Layout:
    return Layout(lambda path, *_: Grit(path, task), "grit")


def _vqa(edition: str, folder: str) -> Layout:
    return Layout(lambda path, pictures, split: Vqa(path, pictures, edition, split), folder, "coco")


SOURCES: dict[str, Layout] = {
    "laion": Layout(lambda path, *_: WebPairs(path), "laion/laion_dataset"),
    "cc_sbu": Layout(lambda path, *_: WebPairs(path), "cc_sbu/cc_sbu_dataset"),
    "grit_grounding": _grit(Task.GROUNDING),
    "grit_refer": _grit(Task.REFER),
    "grit_identify": _grit(Task.IDENTIFY),
    "coco_caption": Layout(CocoCaptions, "coco/annotations", "coco"),
    "textcaps": Layout(TextCaps, "textcaps", "textvqa"),
    "refcoco": _refcoco("refcoco", "unc", Task.REFER),
    "refcoco_plus": _refcoco("refcoco+", "unc", Task.REFER),
    "refcocog": _refcoco("refcocog", "umd", Task.REFER),
    "refcoco_identify": _refcoco("refcoco", "unc", Task.IDENTIFY),
    "refcoco_plus_identify": _refcoco("refcoco+", "unc", Task.IDENTIFY),
    "refcocog_identify": _refcoco("refcocog", "umd", Task.IDENTIFY),
    "visual_genome": Layout(lambda path, pictures, _: VisualGenome(path, pictures), "vg", "vg"),
    "gqa": Layout(Gqa, "gqa", "gqa"),
    "vqav2": _vqa("v2_", "vqav2"),
    "okvqa": _vqa("", "okvqa"),
    "aokvqa": Layout(AokVqa, "aokvqa", "coco"),
    "ocrvqa": Layout(OcrVqa, "ocr_vqa", "ocr_vqa"),
    "llava_conversation": _llava("llava/conversation_58k.json"),
    "llava_detail": _llava("llava/detail_23k.json"),
    "llava_reasoning": _llava("llava/complex_reasoning_77k.json"),
    "multitask_conversation": _llava("multitask_conversation/multitask_conversation.json"),
    "flickr30k_grounded_caption": _flickr30k(Form.GROUNDED_CAPTION),
    "flickr30k_caption_to_phrases": _flickr30k(Form.CAPTION_TO_PHRASES),
    "flickr30k_phrase_to_boxes": _flickr30k(Form.PHRASE_TO_BOXES),
    "unnatural_instructions": Layout(
        lambda path, *_: UnnaturalInstructions(path), "unnatural_instructions/core_data.jsonl"
    ),
}


def open_source(name: str, data: Path, place: SourceConfig) -> Source:
    """Return the dataset of a name in `SOURCES`, at the paths of `place` or its default place."""
    layout = SOURCES[name]
    path = place.path or data / layout.path
    return layout.reader(path.absolute(), (place.pictures or data / layout.pictures).absolute(), place.split)


__all__ = ["SOURCES", "Layout", "Source", "open_source"]
