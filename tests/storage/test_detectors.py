"""Exported boxes are read by the programs that train and evaluate detectors."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from PIL import Image
from pycocotools.coco import COCO

from assistant.storage import NewTurn, SessionStore, StoredStep
from assistant.vlm.grounding import Box, GroundedPhrase

# For an image of 200 x 100 pixels, upright.
CORNERS = [[20, 10, 100, 60], [2.0, 3.0, 190.0, 95.0]]


@pytest.fixture
def session_id(sqlite_store: SessionStore) -> str:
    """A session with an EXIF-rotated image and three boxes: with a score, without one, without area."""
    exif, buffer = Image.Exif(), BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200), "red").save(buffer, "JPEG", exif=exif)
    image = sqlite_store.add_image(buffer.getvalue())
    dogs = GroundedPhrase("A  Dog", (Box(10, 10, 50, 60, 0.83), Box(5, 5, 5, 9), Box(7, 9, 9, 9, 0.5)))
    cat = GroundedPhrase('the "cat" & <co>', (Box(1, 3, 95, 95),))
    session_id = sqlite_store.create_session().id
    steps = (StoredStep("detection", "dogs", phrases=(dogs, cat)),)
    sqlite_store.append_turn(session_id, NewTurn("find all dogs", "Two.", image, steps=steps))
    return session_id


def unpack(archive: bytes, folder: Path) -> Path:
    zipfile.ZipFile(BytesIO(archive)).extractall(folder)
    return folder


def assert_same_boxes(dataset: sv.DetectionDataset, tolerance: float) -> None:
    """Assert that the dataset has the upright image and the two boxes with an area."""
    assert dataset.classes == ["a dog", 'the "cat" & <co>']
    ((_, picture, found),) = list(dataset)
    assert picture.shape == (100, 200, 3)
    assert found.class_id.tolist() == [0, 1]
    assert np.abs(found.xyxy - np.array(CORNERS)).max() <= tolerance


def test_coco_is_read_by_pycocotools_and_supervision(
    sqlite_store: SessionStore, session_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "boxes.json"
    file.write_bytes(sqlite_store.export(session_id, "coco"))
    coco = COCO(str(file))
    found = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=["a dog"])))
    assert [(item["bbox"], item["area"], item["score"]) for item in found] == [([20, 10, 80, 50], 4000, 0.83)]
    content = json.loads(file.read_text())
    assert [item["segmentation"] for item in content["annotations"]] == [[], []]
    assert "score" not in content["annotations"][1]
    assert len(coco.loadRes([{**item, "score": 1.0} for item in content["annotations"]]).anns) == 2
    pictures = unpack(sqlite_store.export(session_id, "yolo"), tmp_path / "yolo") / "images"
    assert_same_boxes(sv.DetectionDataset.from_coco(str(pictures), str(file)), 0.01)


def test_yolo_is_read_by_supervision(sqlite_store: SessionStore, session_id: str, tmp_path: Path) -> None:
    folder = unpack(sqlite_store.export(session_id, "yolo"), tmp_path)
    images, labels, data = (str(folder / name) for name in ("images", "labels", "data.yaml"))
    assert_same_boxes(sv.DetectionDataset.from_yolo(images, labels, data), 0.01)


def test_pascal_voc_is_read_by_supervision(
    sqlite_store: SessionStore, session_id: str, tmp_path: Path
) -> None:
    folder = unpack(sqlite_store.export(session_id, "voc"), tmp_path)
    dataset = sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))
    assert_same_boxes(dataset, 1)
