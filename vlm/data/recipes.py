"""Sampling ratios of the datasets in the paper's three stages (arXiv 2310.09478, table 2 and section 3.1).

The paper lists the datasets of each stage and which are sampled most; only the ratios of the third stage are
published, in the reference's `minigptv2_finetune.yaml`. The other stages keep the proportions of that file,
with two images in three from the weakly labelled datasets in the first stage.
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
"""Ratios by recipe: a user's own data, and the paper's three stages."""
