"""Export a session's boxes in the COCO format, for training and evaluating detectors.

The file has every field that pycocotools, CVAT, FiftyOne, Label Studio and supervision read; `segmentation`
is empty. Boxes without area are omitted, because these programs fail on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from .images import ImageFolder
from .records import LabelledBox, SessionSummary, StoredImage, StoredTurn, distinct_images, labelled_boxes


def write(session: SessionSummary, turns: Sequence[StoredTurn], folder: ImageFolder) -> str:
    """Return the JSON: a category for each phrase, an annotation for each box of a turn with an image.

    A person's corrections replace the model's boxes; a box without a phrase takes its step's argument.
    """
    found = [
        (turn.image, box.name, box)
        for turn in turns
        if turn.image
        for box in labelled_boxes(turn)
        if box.has_area
    ]
    image_ids = {image: number for number, image in enumerate(distinct_images(turns), 1)}
    category_ids = {name: number for number, name in enumerate(sorted({name for _, name, _ in found}), 1)}
    return json.dumps(
        {
            "info": {"description": session.title, "date_created": session.created.isoformat()},
            "licenses": [],
            "images": [_image(number, image, folder) for image, number in image_ids.items()],
            "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
            "annotations": [
                {"id": number, "image_id": image_ids[image], "category_id": category_ids[name]}
                | _annotation(box)
                for number, (image, name, box) in enumerate(found, 1)
            ],
        },
        ensure_ascii=False,
    )


def _image(number: int, image: StoredImage, folder: ImageFolder) -> dict[str, object]:
    name = folder.file(image).name
    return {"id": number, "file_name": name, "width": image.width, "height": image.height}


def _annotation(box: LabelledBox) -> dict[str, object]:
    x0, y0, x1, y1 = box.corners
    width, height = round(x1 - x0, 2), round(y1 - y0, 2)
    score = {} if box.score is None else {"score": box.score}
    bbox = {"bbox": [x0, y0, width, height], "area": round(width * height, 2)}
    return {**bbox, "segmentation": [], "iscrowd": 0, **score}
