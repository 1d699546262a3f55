"""Files of other tools in place of records by hand: each is named, with what to write instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.data.sources.base import read_records
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.errors import DataError

BOXES = [{"label": "cat", "coordinates": {"x": 5, "y": 5, "width": 2, "height": 2}}]
LABELLED = {"id": 1, "annotations": [{"result": []}], "data": {"image": "/data/upload/1.jpg"}}
REGION = {"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}}
OTHER_FORMS: list[tuple[Any, str]] = [
    ({"id": "1", "image": "1.jpg", "conversations": [{"from": "human", "value": "<image>\nwhat?"}]}, "LLaVA"),
    ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}, "ShareGPT"),
    ({"messages": [{"role": "user", "content": "what?"}], "images": ["1.jpg"]}, "Qwen and OpenAI"),
    ({"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}, "COCO's format"),
    ({"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}, "a COCO annotation"),
    ({"image_id": 1, "id": 2, "caption": "a cat"}, "a COCO caption"),
    ({"image": "1.jpg", "prefix": "detect cat", "suffix": "<loc0001> cat"}, "PaliGemma"),
    ({"file_name": "1.jpg", "text": "a cat"}, "Hugging Face's image folders"),
    ({"shapes": [], "imagePath": "1.jpg"}, "Labelme"),
    ({"_via_settings": {}, "_via_img_metadata": {}}, "the VGG Image Annotator's project"),
    ({"filename": "1.jpg", "size": 9, "regions": [REGION]}, "the VGG Image Annotator's format"),
    (LABELLED, "Label Studio's format"),
    ({"image": "1.jpg", "label": [], "annotation_id": 1, "lead_time": 2}, "Label Studio's short format"),
    ({"image": "1.jpg", "annotations": BOXES}, "CreateML"),
    ({"description": "", "size": {"height": 9, "width": 9}, "objects": []}, "Supervisely"),
    ({"version": "2.0", "item": {"name": "1.jpg"}, "annotations": []}, "another tool's file of annotations"),
    ({"instruction": "what?", "input": "", "output": "a cat"}, "Alpaca"),
    ({"prompt": "what?", "completion": "a cat"}, 'write "ask" for "prompt", and "answer" for "completion"'),
    ({"prompt": "what?", "chosen": "a cat", "rejected": "a dog"}, '"answer" for "chosen"'),
    ({"query": "<image>what?", "response": "a cat", "images": ["1.jpg"]}, "Swift"),
    ({"contents": [{"role": "user", "parts": [{"text": "what?"}]}]}, "Gemini"),
    ({"images": ["1.jpg"], "texts": [{"user": "what?", "assistant": "a cat"}]}, "The Cauldron"),
    ({"image": "1.jpg", "question": "what?", "answer": "a cat"}, 'write "ask" for "question"'),
    ({"image": "1.jpg", "caption": "a cat"}, 'write "task": "caption", and "answer" for "caption"'),
]


def refusal(folder: Path, content: str | bytes) -> str:
    """Return the error of reading a file with that content."""
    file = folder / "own.jsonl"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        list(read_records(OwnRecords(file)))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(file))


@pytest.mark.parametrize(("content", "named"), OTHER_FORMS, ids=[named for _, named in OTHER_FORMS])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("in_an_array", [False, True])
def test_the_formats_of_other_tools_are_named(
    tmp_path: Path, content: Any, named: str, indent: int | None, in_an_array: bool
) -> None:
    refused = refusal(tmp_path, json.dumps([content, content] if in_an_array else content, indent=indent))
    assert refused.startswith(":1: this is ")
    assert named in refused
    assert "docs/own-data.md" in refused
    assert ("JSON array" in refused) is in_an_array


@pytest.mark.parametrize("indent", [None, 2])
def test_objects_named_after_their_files_are_the_image_annotators(tmp_path: Path, indent: int | None) -> None:
    content = {"1.jpg9": {"filename": "1.jpg", "size": 9, "regions": [REGION], "file_attributes": {}}}
    assert "the VGG Image Annotator's format" in refusal(tmp_path, json.dumps(content, indent=indent))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (
            "0 0.5 0.5 0.25 0.1\n1 0.2 0.3 0.1 0.1\n",
            "YOLO's labels, whose boxes are centre, width and height",
        ),
        ("0 0.5 0.5 0.25 1e-05 0.1 0.2 0.3 0.4", "YOLO's labels"),
        ("path: ../photos\ntrain: images/train\nnames:\n  0: mug\n", "YAML"),
        ("# Ultralytics\nnames:\n", "YAML"),
        ('<?xml version="1.0"?>\n<annotation><object/></annotation>', "XML, as of Pascal VOC or CVAT"),
        ("<annotation>\n\t<object/>\n</annotation>", "XML, as of Pascal VOC or CVAT"),
        ("filename,width,height,class\n1.jpg,9,9,mug\n", "a table (CSV)"),
        ("image\tcaption\n1.jpg\ta mug\n", "a table (CSV)"),
        (b"PAR1\x15\x04\x15\x00\x00", "a binary file"),
    ],
)
def test_a_file_that_is_not_json_is_named(tmp_path: Path, content: str | bytes, named: str) -> None:
    refused = refusal(tmp_path, content)
    assert f": this is {named}" in refused or f": this is a file of {named}" in refused
    assert "write one JSON object per line, see docs/own-data.md" in refused


@pytest.mark.parametrize("content", ["my mugs, and pens\n", 'oops, {"ask": "a"}\nb, c\n', "1 2 3\n"])
def test_other_text_is_reported_line_by_line(tmp_path: Path, content: str) -> None:
    assert refusal(tmp_path, content).startswith(":1: not JSON")


def test_an_array_of_valid_objects_is_reported_as_an_array(tmp_path: Path) -> None:
    refused = refusal(tmp_path, json.dumps([{"ask": "a", "answer": "b"}], indent=1))
    assert "a JSON array: write one object per line, as `jq -c '.[]' own.jsonl` does" in refused


def test_an_object_over_several_lines_gets_the_remedy(tmp_path: Path) -> None:
    refused = refusal(tmp_path, json.dumps({"ask": "a", "answer": "b"}, indent=1) * 2)
    assert refused.startswith(":1: write each object on one line, as `jq -c . own.jsonl` does")


def test_a_byte_order_mark_is_ignored_and_utf_16_is_an_error(tmp_path: Path) -> None:
    line = json.dumps({"ask": "a", "answer": "b"})
    (tmp_path / "own.jsonl").write_text(line, encoding="utf-8-sig")
    assert len(list(read_records(OwnRecords(tmp_path / "own.jsonl")))) == 1
    assert refusal(tmp_path, line.encode("utf-16")) == " is UTF-16: save it as UTF-8"
