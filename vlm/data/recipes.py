"""How often each data set is drawn in the paper's three stages (arXiv 2310.09478, table 2 and section 3.1).

The paper says which sets a stage has, and which are drawn most; numbers are published for the third stage
alone, in the reference's `minigptv2_finetune.yaml`. The others keep the proportions of that file, with the
weakly labelled sets of the first stage drawn for two pictures in three.
"""

from __future__ import annotations

from .configuration import PHOTOS

_FINE_GRAINED = {
    "coco_caption": 10.0,
    "textcaps": 30.0,
    "refcoco": 25.0,
    "refcoco_plus": 25.0,
    "refcocog": 25.0,
    "refcoco_identify": 10.0,
    "refcoco_plus_identify": 10.0,
    "refcocog_identify": 10.0,
    "visual_genome": 40.0,
    "vqav2": 15.0,
    "okvqa": 8.0,
    "aokvqa": 12.0,
    "gqa": 50.0,
    "ocrvqa": 30.0,
}

_WEAKLY_LABELLED = {
    "laion": 200.0,
    "cc_sbu": 100.0,
    "grit_grounding": 100.0,
    "grit_refer": 100.0,
    "grit_identify": 100.0,
}

_CONVERSATIONS = {
    "multitask_conversation": 50.0,
    "llava_conversation": 30.0,
    "llava_detail": 20.0,
    "llava_reasoning": 80.0,
    "flickr30k_grounded_caption": 80.0,
    "flickr30k_caption_to_phrases": 80.0,
    "flickr30k_phrase_to_boxes": 80.0,
    "unnatural_instructions": 10.0,
}

RECIPES: dict[str, dict[str, float]] = {
    "photos": {PHOTOS: 1.0},
    "pretraining": _WEAKLY_LABELLED | _FINE_GRAINED,
    "multitask": _FINE_GRAINED,
    "chat": _FINE_GRAINED | _CONVERSATIONS,
}
"""Ratios by the name of a recipe: a person's own photos, and the paper's three stages."""


__all__ = ["RECIPES"]
