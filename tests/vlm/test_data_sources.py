"""Datasets in their published layouts: their records, and the errors of broken rows."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import pickle
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.data.configuration import SourceConfig
from assistant.vlm.data.recipes import RECIPES
from assistant.vlm.data.records import ImageReference, Record
from assistant.vlm.data.skipped_rows import SkippedRows
from assistant.vlm.data.sources import SOURCES, open_source
from assistant.vlm.data.sources.base import read_records
from assistant.vlm.errors import DataError
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import Task

from .tiny import picture

Change = Callable[[Any], Any]


def unchanged(rows: Any) -> Any:
    return rows


def records(name: str, data: Path, *, skipped: SkippedRows | None = None, **place: Any) -> list[Record]:
    return list(read_records(open_source(name, data, SourceConfig(**place)), skipped))


def exchanges(found: list[Record]) -> list[tuple[Task | None, str, str]]:
    """Return task, argument and answer of every turn."""
    return [(turn.task, turn.argument, turn.answer) for record in found for turn in record.turns]


def places(found: list[Record], data: Path) -> list[str]:
    return [str(Path(record.picture.path).relative_to(data)) for record in found if record.picture]


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_pictures(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(0).save(path)


def png() -> bytes:
    data = io.BytesIO()
    picture(0).save(data, "PNG")
    return data.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as shard:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))


# --- each dataset in its published layout -------------------------------------------------------------------


def laion(data: Path, change: Change = unchanged) -> None:
    captions = change(["a red car", "two dogs"])
    members: dict[str, bytes] = {}
    for number, caption in enumerate(captions):
        key = f"00000000{number}"
        members |= {f"{key}.jpg": png(), f"{key}.txt": caption, f"{key}.json": b'{"status": "success"}'}
    for name, content in members.items():
        members[name] = content if isinstance(content, bytes) else content.encode()
    write_shard(data / "laion/laion_dataset/00000.tar", members)


def cc_sbu(data: Path, change: Change = unchanged) -> None:
    laion(data, change)
    (data / "cc_sbu").mkdir()
    (data / "laion/laion_dataset").rename(data / "cc_sbu/cc_sbu_dataset")


def grit(data: Path, change: Change = unchanged) -> None:
    row = {
        "caption": "a dog in a field of flowers, two birds",
        "noun_chunks": [
            [0, 5, 0.1, 0.2, 0.5, 0.9, 0.8],
            [9, 16, 0.0, 0.5, 1.0, 1.0, 0.7],
            [29, 38, 0.6, 0.1, 0.7, 0.2, 0.7],
            [29, 38, 0.8, 0.1, 0.9, 0.2, 0.7],
        ],
        "ref_exps": [[0, 27, 0.1, 0.2, 0.5, 0.9, 0.8], [29, 38, 0.6, 0.1, 0.7, 0.2, 0.7]],
        "width": 40,
        "height": 30,
    }
    rows = change([row])
    members: dict[str, bytes] = {}
    for number, item in enumerate(rows):
        members |= {f"{number:09}.jpg": png(), f"{number:09}.json": json.dumps(item).encode()}
    write_shard(data / "grit/00000.tar", members)


def coco_caption(data: Path, change: Change = unchanged) -> None:
    rows = [
        {"image_id": 9, "id": 1, "caption": "a bowl of food "},
        {"image_id": 9, "id": 2, "caption": "rice"},
    ]
    write_json(
        data / "coco/annotations/captions_train2017.json",
        {"info": {}, "images": [{"id": 9, "file_name": "000000000009.jpg"}], "annotations": change(rows)},
    )
    write_pictures(data / "coco/train2017/000000000009.jpg")


def textcaps(data: Path, change: Change = unchanged) -> None:
    row = {
        "image_id": "0054c91397f2fe05",
        "image_path": "train/0054c91397f2fe05.jpg",
        "caption_str": "a sign",
    }
    write_json(data / "textcaps/TextCaps_0.1_train.json", {"dataset_name": "textcaps", "data": change([row])})
    write_pictures(data / "textvqa/train_images/0054c91397f2fe05.jpg")


def refcoco(data: Path, change: Change = unchanged, folder: str = "refcoco", edition: str = "unc") -> None:
    def reference(ann_id: int, split: str, *sentences: str) -> dict[str, Any]:
        texts = [{"raw": text.upper(), "sent": text, "tokens": text.split()} for text in sentences]
        return {"ann_id": ann_id, "split": split, "sentences": texts, "image_id": 581857, "ref_id": ann_id}

    rows = change([reference(7, "train", "the left dog", "brown dog"), reference(8, "val", "the cat")])
    path = data / "refcoco" / folder / f"refs({edition}).p"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(rows, protocol=0))
    name = "COCO_train2014_000000581857.jpg"
    boxes = [{"id": number, "image_id": 581857, "bbox": [10.0, 20.0, 100.0, 200.0]} for number in (7, 8)]
    size = {"id": 581857, "file_name": name, "width": 200, "height": 400}
    write_json(path.parent / "instances.json", {"images": [size], "annotations": boxes, "categories": []})
    write_pictures(data / "coco/train2014" / name)


def visual_genome(data: Path, change: Change = unchanged) -> None:
    def region(phrase: str, width: int) -> dict[str, Any]:
        return {
            "region_id": 1,
            "image_id": 2,
            "x": 80,
            "y": 60,
            "width": width,
            "height": 120,
            "phrase": phrase,
        }

    rows = [{"id": 2, "regions": [region("the clock is green", 40), region("a whole street", 600)]}]
    write_json(data / "vg/region_descriptions.json", change(rows))
    url = "https://cs.stanford.edu/people/rak248/VG_100K_2/2.jpg"
    write_json(data / "vg/image_data.json", [{"image_id": 2, "url": url, "width": 800, "height": 600}])
    write_pictures(data / "vg/VG_100K_2/2.jpg")


def gqa(data: Path, change: Change = unchanged) -> None:
    rows = {
        "07333408": {"imageId": "2375429", "question": "What is on the wall?", "answer": "pipe", "types": {}}
    }
    write_json(data / "gqa/train_balanced_questions.json", change(rows))
    write_pictures(data / "gqa/images/2375429.jpg")


def vqav2(data: Path, change: Change = unchanged, folder: str = "vqav2", edition: str = "v2_") -> None:
    asked = [{"image_id": 458752, "question": "What is he doing?", "question_id": 458752000}]
    answers = [{"answer": text, "answer_id": 1} for text in ("throwing", "pitching", "pitching")]
    rows = [{"question_id": 458752000, "image_id": 458752, "answers": answers}]
    start = data / folder
    write_json(start / f"{edition}OpenEnded_mscoco_train2014_questions.json", {"questions": asked})
    write_json(start / f"{edition}mscoco_train2014_annotations.json", {"annotations": change(rows)})
    write_pictures(data / "coco/train2014/COCO_train2014_000000458752.jpg")


def okvqa(data: Path, change: Change = unchanged) -> None:
    vqav2(data, change, "okvqa", "")


def aokvqa(data: Path, change: Change = unchanged) -> None:
    row = {
        "image_id": 299207,
        "question": "What is it?",
        "choices": ["bus"],
        "direct_answers": ["train", "train"],
    }
    write_json(data / "aokvqa/aokvqa_v1p0_train.json", change([row]))
    write_pictures(data / "coco/train2017/000000299207.jpg")


def ocrvqa(data: Path, change: Change = unchanged) -> None:
    def book(split: int) -> dict[str, Any]:
        asked = {"questions": ["Who wrote this?", "Is it a comic?"], "answers": ["Sandra Boynton", "No"]}
        return {
            "imageURL": "http://images/51.jpg",
            "title": "Mom",
            "genre": "Calendars",
            "split": split,
        } | asked

    write_json(data / "ocr_vqa/dataset.json", change({"0761183272": book(1), "1111111111": book(3)}))
    write_pictures(data / "ocr_vqa/images/0761183272.jpg")


def llava_as(name: str, data: Path, change: Change = unchanged) -> None:
    llava(data, change)
    renamed(data, name)


def llava(data: Path, change: Change = unchanged) -> None:
    texts = ["<image>\nWhat is in it?", "A bus.", "Which colour?", "Red and white."]
    turns = [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(texts)]
    row = {"id": "000000442786", "image": "000000442786.jpg", "conversations": turns}
    write_json(data / "llava/conversation_58k.json", change([row]))
    write_pictures(data / "coco/train2017/000000442786.jpg")


def multitask(data: Path, change: Change = unchanged) -> None:
    texts = ["<image>\n[refer] where is the bus", "{<1><2><30><40>}", "how many people?", "two"]
    turns = [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(texts)]
    rows = change([{"id": 442786, "conversations": turns}])
    write_json(data / "multitask_conversation/multitask_conversation.json", rows)
    write_pictures(data / "coco/train2014/COCO_train2014_000000442786.jpg")


SENTENCE = (
    "[/EN#1/people A man] in [/EN#2/clothing a hat] , [/EN#3/animals two dogs] and [/EN#4/animals a cat] "
    "near [/EN#5/bodyparts/people the man 's leg] in [/EN#6/scene a park] ."
)


def flickr30k(data: Path, change: Change = unchanged) -> None:
    folder = data / "flickr30k_entities"
    sentences = change([SENTENCE, "[/EN#1/people A man] stands ."])
    objects = "".join(
        f"<object>{names}<bndbox><xmin>{20 * x}</xmin><ymin>30</ymin><xmax>{20 * x + 20}</xmax>"
        "<ymax>60</ymax></bndbox></object>"
        for names, x in [
            ("<name>1</name>", 0),
            ("<name>2</name>", 1),
            ("<name>3</name>", 2),
            ("<name>3</name>", 3),
            ("<name>4</name><name>5</name>", 4),
        ]
    )
    size = "<size><width>200</width><height>300</height><depth>3</depth></size>"
    scene = "<object><name>6</name><scene>1</scene></object>"
    for path, content in {
        "train.txt": "1000092795\n",
        "Sentences/1000092795.txt": "\n".join(sentences) + "\n",
        "Annotations/1000092795.xml": f"<annotation>{size}{objects}{scene}</annotation>",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    write_pictures(folder / "flickr30k-images/1000092795.jpg")


def unnatural(data: Path, change: Change = unchanged) -> None:
    def row(constraints: str | None) -> dict[str, Any]:
        texts = {"instruction_with_input": "Translate: chien", "input": "chien", "output": "dog"}
        return {"instruction": "Translate.", "instances": [texts | {"constraints": constraints}]}

    rows = change([row("None."), row("One word.")])
    path = data / "unnatural_instructions/core_data.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(item if isinstance(item, str) else json.dumps(item) + "\n" for item in rows))


WRITERS: dict[str, Callable[..., None]] = {
    "laion": laion,
    "cc_sbu": cc_sbu,
    "grit_grounding": grit,
    "grit_refer": grit,
    "grit_identify": grit,
    "coco_caption": coco_caption,
    "textcaps": textcaps,
    "refcoco": refcoco,
    "refcoco_identify": refcoco,
    "refcoco_plus": partial(refcoco, folder="refcoco+"),
    "refcoco_plus_identify": partial(refcoco, folder="refcoco+"),
    "refcocog": partial(refcoco, folder="refcocog", edition="umd"),
    "refcocog_identify": partial(refcoco, folder="refcocog", edition="umd"),
    "visual_genome": visual_genome,
    "gqa": gqa,
    "vqav2": vqav2,
    "okvqa": okvqa,
    "aokvqa": aokvqa,
    "ocrvqa": ocrvqa,
    "llava_conversation": llava,
    "llava_detail": partial(llava_as, "detail_23k"),
    "llava_reasoning": partial(llava_as, "complex_reasoning_77k"),
    "multitask_conversation": multitask,
    "flickr30k_grounded_caption": flickr30k,
    "flickr30k_caption_to_phrases": flickr30k,
    "flickr30k_phrase_to_boxes": flickr30k,
    "unnatural_instructions": unnatural,
}


def renamed(data: Path, name: str) -> None:
    (data / "llava/conversation_58k.json").rename(data / f"llava/{name}.json")


REFERRED = [(Task.REFER, text, "{<5><5><55><55>}") for text in ("the left dog", "brown dog")]
IDENTIFIED = [(Task.IDENTIFY, "", text) for text in ("the left dog", "brown dog")]
GROUNDED = (
    "<p>A man</p>{<0><10><10><20>} in <p>a hat</p>{<10><10><20><20>}, <p>two dogs</p>{<20><10><30><20>}"
    "<delim>{<30><10><40><20>} and <p>a cat</p>{<40><10><50><20>} near "
    "<p>the man's leg</p>{<40><10><50><20>} in a park."
)
CAPTION = "A man in a hat, two dogs and a cat near the man's leg in a park."
SAID: dict[str, list[tuple[Task | None, str, str]]] = {
    "laion": [(Task.CAPTION, "", "a red car"), (Task.CAPTION, "", "two dogs")],
    "cc_sbu": [(Task.CAPTION, "", "a red car"), (Task.CAPTION, "", "two dogs")],
    "grit_grounding": [
        (
            Task.GROUNDING,
            "",
            "<p>a dog</p>{<10><20><50><90>} in <p>a field</p>{<0><50><100><100>} of flowers, "
            "<p>two birds</p>{<60><10><70><20>}<delim>{<80><10><90><20>}",
        )
    ],
    "grit_refer": [
        (Task.REFER, "a dog in a field of flowers", "{<10><20><50><90>}"),
        (Task.REFER, "two birds", "{<60><10><70><20>}"),
    ],
    "grit_identify": [
        (Task.IDENTIFY, "", "a dog in a field of flowers"),
        (Task.IDENTIFY, "", "two birds"),
    ],
    "coco_caption": [(Task.CAPTION, "", "a bowl of food"), (Task.CAPTION, "", "rice")],
    "textcaps": [(Task.CAPTION, "", "a sign")],
    "refcoco": REFERRED,
    "refcoco_plus": REFERRED,
    "refcocog": REFERRED,
    "refcoco_identify": IDENTIFIED,
    "refcoco_plus_identify": IDENTIFIED,
    "refcocog_identify": IDENTIFIED,
    "visual_genome": [(Task.REFER, "the clock is green", "{<10><10><15><30>}")],
    "gqa": [(Task.VQA, "What is on the wall?", "pipe")],
    "vqav2": [(Task.VQA, "What is he doing?", "pitching")],
    "okvqa": [(Task.VQA, "What is he doing?", "pitching")],
    "aokvqa": [(Task.VQA, "What is it?", "train")],
    "ocrvqa": [(Task.VQA, "Who wrote this?", "Sandra Boynton"), (Task.VQA, "Is it a comic?", "No")],
    "llava_conversation": [(None, "", "A bus."), (None, "", "Red and white.")],
    "llava_detail": [(None, "", "A bus."), (None, "", "Red and white.")],
    "llava_reasoning": [(None, "", "A bus."), (None, "", "Red and white.")],
    "multitask_conversation": [(Task.REFER, "", "{<1><2><30><40>}"), (None, "", "two")],
    "flickr30k_grounded_caption": [(Task.GROUNDING, "", GROUNDED)],
    "flickr30k_caption_to_phrases": [
        (
            Task.DETECTION,
            CAPTION,
            "<p>A man</p> {<0><10><10><20>} <p>a hat</p> {<10><10><20><20>} "
            "<p>two dogs</p> {<20><10><30><20>}<delim>{<30><10><40><20>} "
            "<p>a cat</p> {<40><10><50><20>} <p>the man's leg</p> {<40><10><50><20>}",
        )
    ],
    "flickr30k_phrase_to_boxes": [
        (Task.DETECTION, "A man", "<p>A man</p> {<0><10><10><20>}"),
        (Task.DETECTION, "a hat", "<p>a hat</p> {<10><10><20><20>}"),
        (Task.DETECTION, "two dogs", "<p>two dogs</p> {<20><10><30><20>}<delim>{<30><10><40><20>}"),
        (Task.DETECTION, "a cat", "<p>a cat</p> {<40><10><50><20>}"),
        (Task.DETECTION, "the man's leg", "<p>the man's leg</p> {<40><10><50><20>}"),
        (Task.DETECTION, "A man", "<p>A man</p> {<0><10><10><20>}"),
    ],
    "unnatural_instructions": [
        (None, "Translate: chien", "dog"),
        (None, "Translate: chien One word.", "dog"),
    ],
}


class TestPublishedLayouts:
    def test_every_source_is_tested(self) -> None:
        assert SOURCES.keys() == WRITERS.keys() == SAID.keys()

    def test_the_papers_stages_name_known_sources(self) -> None:
        named = {name for ratios in RECIPES.values() for name in ratios}
        assert named == SOURCES.keys() | {"photos"}

    def test_the_documentation_lists_every_source_and_recipe(self) -> None:
        document = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
        assert [name for name in (*SOURCES, *RECIPES) if f"`{name}`" not in document] == []

    @pytest.mark.parametrize("name", SOURCES)
    def test_a_dataset_is_read_in_its_published_layout(self, name: str, tmp_path: Path) -> None:
        WRITERS[name](tmp_path)
        found = records(name, tmp_path)
        assert exchanges(found) == SAID[name]
        for record in found:
            if record.picture is not None:
                assert record.picture.read().size == (40, 30)

    @pytest.mark.parametrize("name", SOURCES)
    def test_a_missing_dataset_is_reported_with_its_path(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=f"no {tmp_path}.*in its published layout"):
            records(name, tmp_path)

    def test_annotations_and_images_can_be_elsewhere(self, tmp_path: Path) -> None:
        gqa(tmp_path / "here")
        (tmp_path / "here/gqa/images").rename(tmp_path / "images")
        found = records("gqa", Path("nowhere"), path=tmp_path / "here/gqa", pictures=tmp_path)
        assert places(found, tmp_path) == ["images/2375429.jpg"]

    def test_identify_asks_about_the_box_of_the_object(self, tmp_path: Path) -> None:
        refcoco(tmp_path)
        assert {record.turns[0].region for record in records("refcoco_identify", tmp_path)} == {
            Box(5, 5, 55, 55)
        }

    def test_another_split_can_be_read(self, tmp_path: Path) -> None:
        refcoco(tmp_path)
        assert exchanges(records("refcoco", tmp_path, split="val")) == [
            (Task.REFER, "the cat", "{<5><5><55><55>}")
        ]

    def test_a_conversation_keeps_its_words_and_turns(self, tmp_path: Path) -> None:
        llava(tmp_path)
        (record,) = records("llava_conversation", tmp_path)
        assert [turn.words for turn in record.turns] == ["What is in it?", "Which colour?"]

    def test_an_expression_of_several_boxes_is_no_referring_expression(self, tmp_path: Path) -> None:
        def twice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            rows[0]["ref_exps"].append([29, 38, 0.8, 0.1, 0.9, 0.2, 0.7])
            return rows

        grit(tmp_path, twice)
        assert [argument for _, argument, _ in exchanges(records("grit_refer", tmp_path))] == [
            "a dog in a field of flowers"
        ]

    @pytest.mark.parametrize("folder", ["", "./", "00000/", "./a.b/"])
    def test_shards_may_hold_folders(self, folder: str, tmp_path: Path) -> None:
        shard = tmp_path / "laion/laion_dataset/0.tar"
        write_shard(shard, {f"{folder}1.{kind}": png() if kind == "jpg" else b"a" for kind in ("jpg", "txt")})
        assert exchanges(records("laion", tmp_path)) == [(Task.CAPTION, "", "a")]

    def test_covers_saved_under_their_own_extension_are_found(self, tmp_path: Path) -> None:
        def gif(rows: dict[str, Any]) -> dict[str, Any]:
            rows["0761183272"]["imageURL"] = "http://images/51.gif"
            return rows

        ocrvqa(tmp_path, gif)
        assert places(records("ocrvqa", tmp_path)[:1], tmp_path) == ["ocr_vqa/images/0761183272.jpg"]
        write_pictures(tmp_path / "ocr_vqa/images/0761183272.gif")
        assert places(records("ocrvqa", tmp_path)[:1], tmp_path) == ["ocr_vqa/images/0761183272.gif"]

    def test_answers_parse_to_their_boxes(self, tmp_path: Path) -> None:
        flickr30k(tmp_path)
        (record,) = records("flickr30k_grounded_caption", tmp_path)
        grounded = parse(record.turns[0].answer)
        assert grounded.text == CAPTION
        assert [format_box(box) for box in grounded.phrases[2].boxes] == [
            "{<20><10><30><20>}",
            "{<30><10><40><20>}",
        ]


def without(key: str) -> Change:
    """Remove a field of the first row, wherever the rows are."""

    def change(rows: Any) -> Any:
        first = rows[next(iter(rows))] if isinstance(rows, dict) else rows[0]
        del first[key]
        return rows

    return change


def with_value(key: str, value: Any) -> Change:
    """Set a field of the first row."""

    def change(rows: Any) -> Any:
        first = rows[next(iter(rows))] if isinstance(rows, dict) else rows[0]
        first[key] = value
        return rows

    return change


def replaced(value: Any) -> Change:
    """Replace the first row."""
    return lambda rows: [value, *rows[1:]]


BROKEN = [
    pytest.param("laion", replaced(b"\xff\xfe"), r"00000\.tar, 000000000: 'utf-8' codec", id="laion"),
    pytest.param("cc_sbu", replaced("  "), r"00000\.tar, 000000000: the answer is empty", id="cc_sbu"),
    pytest.param("grit_refer", without("ref_exps"), r"00000\.tar, 000000000: ref_exps: Field req", id="grit"),
    pytest.param(
        "grit_grounding",
        with_value("noun_chunks", [[0, 99, 0, 0, 1, 1, 1]]),
        "characters 0 to 99 are not in a caption of 38",
        id="grit span",
    ),
    pytest.param(
        "grit_refer",
        with_value("ref_exps", [[0, 27, 0.1, 0.2, math.inf, 0.9, 0.8]]),
        r"00000\.tar, 000000000: cannot convert float infinity",
        id="grit box",
    ),
    pytest.param("coco_caption", without("caption"), r"train2017\.json, row 1: caption: Field", id="coco"),
    pytest.param(
        "coco_caption", with_value("image_id", 10), "row 1: there is no image .*10.jpg", id="coco 2"
    ),
    pytest.param(
        "textcaps", with_value("caption_str", ""), r"train\.json, row 1: the answer is empty", id="text"
    ),
    pytest.param(
        "refcoco", without("ann_id"), r"refs\(unc\)\.p, row 1: ann_id: Field required", id="refcoco"
    ),
    pytest.param("refcoco", with_value("ann_id", 5), "row 1: ann_id: 5 is not in instances", id="refcoco 2"),
    pytest.param("visual_genome", with_value("id", 3), "row 1: id: 3 is not in image_data.json", id="vg"),
    pytest.param("visual_genome", without("regions"), r"descriptions\.json, row 1: regions: Fi", id="vg 2"),
    pytest.param("gqa", without("answer"), r"questions\.json, row 1: answer: Field required", id="gqa"),
    pytest.param(
        "vqav2", with_value("answers", []), r"annotations\.json, row 1: answers: there are none", id="vqa"
    ),
    pytest.param("vqav2", with_value("question_id", 1), "question_id: 1 is not among the quest", id="vqa 2"),
    pytest.param(
        "aokvqa", with_value("direct_answers", "train"), "row 1: direct_answers: Input", id="aokvqa"
    ),
    pytest.param("ocrvqa", with_value("answers", ["one"]), "row 1: answers: 1 for 2 questions", id="ocrvqa"),
    pytest.param("ocrvqa", with_value("split", 4), "row 1: split: Input should be 1, 2 or 3", id="ocrvqa 2"),
    pytest.param(
        "llava_conversation",
        with_value("conversations", [{"from": "gpt", "value": "yes"}]),
        r"58k\.json, row 1: conversations: human and gpt do not take turns",
        id="llava",
    ),
    pytest.param(
        "flickr30k_grounded_caption",
        replaced("[/EN#1 A man] stands"),
        r"1000092795\.txt:1: a phrase is not marked",
        id="flickr30k",
    ),
    pytest.param("unnatural_instructions", replaced("{\n"), r"data\.jsonl:1: not JSON", id="unnatural"),
    pytest.param(
        "unnatural_instructions",
        replaced('{"instances": [], "note": "\\ud83d"}\n'),
        r"data\.jsonl:1: '\\ud83d' is half a surrogate pair",
        id="unnatural 3",
    ),
    pytest.param(
        "unnatural_instructions",
        lambda rows: [{"instances": [{"output": "dog"}]}, *rows],
        r"data\.jsonl:1: instances\.0\.instruction_with_input: Field",
        id="unnatural 2",
    ),
]


class TestBrokenRows:
    @pytest.mark.parametrize(("name", "change", "message"), BROKEN)
    def test_a_broken_row_is_named_or_skipped_and_counted(
        self, name: str, change: Change, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        WRITERS[name](tmp_path, change)
        with pytest.raises(DataError, match=message) as caught:
            records(name, tmp_path)
        assert "\n" not in str(caught.value)
        skipped = SkippedRows(tmp_path)
        with caplog.at_level(logging.WARNING):
            left = records(name, tmp_path, skipped=skipped)
        assert len(left) < len(SAID[name]) or name in ("unnatural_instructions", "grit_grounding")
        assert str(caught.value) in caplog.text
        assert skipped.count == 1

    def test_an_image_without_width_is_an_error_or_skipped(self, tmp_path: Path) -> None:
        refcoco(tmp_path)
        path = tmp_path / "refcoco/refcoco/instances.json"
        path.write_text(path.read_text().replace('"width": 200', '"width": 0'))
        with pytest.raises(DataError, match="row 1: width: Input should be greater than 0"):
            records("refcoco", tmp_path)
        skipped = SkippedRows(tmp_path)
        assert records("refcoco", tmp_path, skipped=skipped) == []
        assert skipped.count == 1

    def test_an_unhashable_key_is_an_error(self, tmp_path: Path) -> None:
        vqav2(tmp_path)
        path = tmp_path / "vqav2/v2_OpenEnded_mscoco_train2014_questions.json"
        path.write_text(path.read_text().replace('"question_id": 458752000', '"question_id": [1]'))
        with pytest.raises(DataError, match=r"questions\.json, row 1: question_id: must be a number or text"):
            records("vqav2", tmp_path)

    def test_only_the_first_few_are_logged_one_by_one(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        unnatural(tmp_path, lambda rows: ["{\n"] * 9 + rows)
        skipped = SkippedRows(tmp_path)
        with caplog.at_level(logging.WARNING):
            assert len(records("unnatural_instructions", tmp_path, skipped=skipped)) == 2
        assert caplog.text.count("not JSON") == 5
        assert skipped.count == 9

    def test_a_truncated_file_is_an_error_even_then(self, tmp_path: Path) -> None:
        coco_caption(tmp_path)
        path = tmp_path / "coco/annotations/captions_train2017.json"
        path.write_text(path.read_text()[:-30])
        with pytest.raises(DataError, match=r"train2017\.json: not JSON after row 1"):
            records("coco_caption", tmp_path, skipped=SkippedRows(tmp_path))

    def test_deep_json_is_an_error_before_it_fills_the_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "coco/annotations/captions_train2017.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"annotations": [' + "[" * 5000)
        with pytest.raises(DataError, match="JSON is more than 100 levels deep"):
            records("coco_caption", tmp_path)

    def test_a_file_of_another_kind_is_not_an_empty_data_set(self, tmp_path: Path) -> None:
        write_json(tmp_path / "coco/annotations/captions_train2017.json", {"annotation": []})
        with pytest.raises(DataError, match="holds no rows"):
            records("coco_caption", tmp_path)

    def test_a_truncated_shard_is_an_error(self, tmp_path: Path) -> None:
        laion(tmp_path)
        shard = tmp_path / "laion/laion_dataset/00000.tar"
        shard.write_bytes(shard.read_bytes()[:1500])
        with pytest.raises(DataError, match=r"00000\.tar is no whole tar file"):
            records("laion", tmp_path)

    def test_a_caption_without_an_image_is_an_error(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "laion/laion_dataset/0.tar", {"7.txt": b"a dog"})
        with pytest.raises(DataError, match=r"0\.tar, 7: \[caption\] needs an image"):
            records("laion", tmp_path)


class TestPickles:
    def test_a_pickle_that_runs_code_is_refused(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(tmp_path / "made"),)

        refcoco(tmp_path, lambda _: [Evil()])
        with pytest.raises(DataError, match=r"not a pickle of plain data: it asks for .*mkdir"):
            records("refcoco", tmp_path)
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"refs": []})])
    def test_a_pickle_without_a_list_is_an_error(self, content: bytes, tmp_path: Path) -> None:
        refcoco(tmp_path)
        (tmp_path / "refcoco/refcoco/refs(unc).p").write_bytes(content)
        with pytest.raises(DataError, match=r"refs\(unc\)\.p (is not a pickle|does not hold a list)"):
            records("refcoco", tmp_path)

    def test_text_of_python_2_is_read(self, tmp_path: Path) -> None:
        refcoco(tmp_path)
        # Protocol 2 of Python 2 writes its plain strings as SHORT_BINSTRING: bytes, not text.
        row = b"\x80\x02]}(U\x06ann_idK\x07U\x05splitU\x05trainU\tsentences]}U\x04sentU\x07the dogsaua."
        (tmp_path / "refcoco/refcoco/refs(unc).p").write_bytes(row)
        assert exchanges(records("refcoco", tmp_path)) == [(Task.REFER, "the dog", "{<5><5><55><55>}")]


def test_a_missing_or_damaged_image_is_an_error(tmp_path: Path) -> None:
    gone = ImageReference(str(tmp_path / "gone.jpg"))
    with pytest.raises(DataError, match="gone"):
        gone.read()
    (tmp_path / "shard.tar").write_bytes(b"x" * 100)
    for place in (
        ImageReference(str(tmp_path / "shard.tar"), 10, 20),
        ImageReference(str(tmp_path / "no"), 1, 2),
    ):
        with pytest.raises(DataError, match=str(tmp_path)):
            place.read()
