"""The evaluation datasets of the paper, read from small files in their published layouts."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.vlm.answers import Request
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import DataError
from assistant.vlm.evaluation.chair import chair_items
from assistant.vlm.evaluation.evaluate import evaluate
from assistant.vlm.evaluation.published import PAPER, PUBLISHED, paper_set, published_set
from assistant.vlm.grounding import Box
from assistant.vlm.released.prompt_form import RELEASED
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine
from .tiny import picture, tiny_model, tiny_processor

Rows = list[dict[str, Any]]
Writer = Callable[[Path, Callable[[Any], Any]], None]


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".p":
        path.write_bytes(pickle.dumps(content, protocol=0))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        picture(0).save(path)


def refcoco(name: str, edition: str) -> Writer:
    def write(data: Path, change: Callable[[Any], Any]) -> None:
        def thing(number: int, split: str, *expressions: str) -> dict[str, Any]:
            return {"ann_id": number, "split": split, "sentences": [{"sent": text} for text in expressions]}

        folder, file = data / "refcoco" / name, "COCO_train2014_000000581857.jpg"
        boxes = [{"id": number, "image_id": 581857, "bbox": [10.0, 20.0, 100.0, 200.0]} for number in (7, 8)]
        size = {"id": 581857, "file_name": file, "width": 200, "height": 400}
        put(
            folder / f"refs({edition}).p", change([thing(7, "train", "the cat"), thing(8, "val", "left dog")])
        )
        put(folder / "instances.json", {"images": [size], "annotations": boxes})
        put(data / "coco/train2014" / file, None)

    return write


def gqa(data: Path, change: Callable[[Any], Any]) -> None:
    row = {"imageId": "n161313", "question": "Is it overcast?", "answer": "no", "semantic": [], "groups": {}}
    put(data / "gqa/testdev_balanced_questions.json", change({"201307251": row}))
    put(data / "gqa/images/n161313.jpg", None)


def vqa(folder: str, edition: str) -> Writer:
    def write(data: Path, change: Callable[[Any], Any]) -> None:
        asked = {"image_id": 297147, "question": "What sport is this?", "question_id": 2971475}
        words = ["racing"] * 2 + ["motocross"] * 6 + ["ride"] * 2
        answers = [{"answer_id": number, "answer": text} for number, text in enumerate(words, start=1)]
        row = {"image_id": 297147, "question_id": 2971475, "question_type": "what", "answers": answers}
        put(data / folder / f"{edition}OpenEnded_mscoco_val2014_questions.json", {"questions": [asked]})
        put(data / folder / f"{edition}mscoco_val2014_annotations.json", {"annotations": change([row])})
        put(data / "coco/val2014/COCO_val2014_000000297147.jpg", None)

    return write


def vsr(data: Path, change: Callable[[Any], Any]) -> None:
    row = {
        "image": "000000119360.jpg", "caption": "The cat is behind the laptop.", "label": 0,
        "image_link": "http://images/119360.jpg", "relation": "behind", "vote_true_validator_id": [2],
    }  # fmt: skip
    put(data / "vsr/splits/zeroshot/test.jsonl", change([row]))
    put(data / "vsr/images/000000119360.jpg", None)


def iconvqa(data: Path, change: Callable[[Any], Any]) -> None:
    problem = {
        "question": "What is the probability?",
        "choices": ["certain", "unlikely"],
        "answer": 1,
        "grade": "K",
    }
    other = {"question": "How many?", "answer": "3", "ques_type": "fill_in_blank"}
    put(data / "iconqa_data/problems.json", change({"35": problem, "36": other}))
    put(
        data / "iconqa_data/pid_splits.json",
        {"choose_txt_test": ["35"], "choose_txt_val": [], "test": ["35", "36"]},
    )
    put(data / "iconqa_data/iconqa/test/choose_txt/35/image.png", None)


def vizwiz(data: Path, change: Callable[[Any], Any]) -> None:
    answers = [{"answer": text, "answer_confidence": "yes"} for text in ["soda"] * 2 + ["coke"] * 8]
    row = {
        "image": "VizWiz_val_00000000.jpg",
        "question": "What can is it?",
        "answers": answers,
        "answerable": 1,
    }
    put(data / "vizwiz/Annotations/val.json", change([row]))
    put(data / "vizwiz/val/VizWiz_val_00000000.jpg", None)


def memes(data: Path, change: Callable[[Any], Any]) -> None:
    put(
        data / "hateful_memes/dev_seen.jsonl",
        change([{"id": 8291, "img": "img/08291.png", "label": 1, "text": "a"}]),
    )
    put(data / "hateful_memes/img/08291.png", None)


def chair(data: Path, change: Callable[[Any], Any]) -> None:
    drawn: Rows = [{"image_id": 42, "category_id": number, "segmentation": []} for number in (1, 18)]
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    captions = [{"image_id": 42, "caption": "Somebody on a bench."}, {"image_id": 43, "caption": "A boat."}]
    put(
        data / "coco/annotations/instances_val2014.json",
        {"categories": categories, "annotations": change(drawn)},
    )
    put(data / "coco/annotations/captions_val2014.json", {"annotations": captions})
    put(data / "coco/val2014/COCO_val2014_000000000042.jpg", None)


WRITERS: dict[str, Writer] = {
    "chair": chair,
    "refcoco": refcoco("refcoco", "unc"),
    "refcoco_plus": refcoco("refcoco+", "unc"),
    "refcocog": refcoco("refcocog", "umd"),
    "gqa": gqa,
    "okvqa": vqa("okvqa", ""),
    "vqav2": vqa("vqav2", "v2_"),
    "vsr": vsr,
    "iconvqa": iconvqa,
    "vizwiz": vizwiz,
    "hm": memes,
}

# The question, the right answer, and the name of the measure.
EXPECTED: dict[str, tuple[str, str, str]] = {
    # Of CHAIR, the wrong answer.
    "chair": ("generate a brief description of the given image", "a cat", "chair_objects"),
    **dict.fromkeys(
        ("refcoco", "refcoco_plus", "refcocog"), ("left dog", "{<5><5><55><55>}", "accuracy_at_50")
    ),
    "gqa": ("Is it overcast?", "No", "accuracy"),
    **dict.fromkeys(("okvqa", "vqav2"), ("What sport is this?", "the motocross", "vqa_accuracy")),
    "vsr": (
        "Based on the image, is this statement true or false? The cat is behind the laptop.",
        "False",
        "accuracy",
    ),
    "iconvqa": ("What is the probability?", "unlikely", "accuracy"),
    "vizwiz": ("What can is it?", "coke", "vqa_accuracy"),
    "hm": (
        "This is an image writting 'a'. Is this image hateful? Answer yes or no. Answer:",
        "yes",
        "accuracy",
    ),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
class TestSets:
    def test_it_is_read_and_scored_by_its_measure(self, tmp_path: Path, name: str) -> None:
        WRITERS[name](tmp_path, lambda rows: rows)
        asked, right, measure = EXPECTED[name]
        for answer, value in ((right, 1.0), ("something else", 0.0)):
            engine = ScriptedEngine({Task.VQA: answer, Task.REFER: answer, None: answer})
            data = published_set(name, tmp_path)
            report = evaluate(VisionLanguageModel(engine), data)
            assert [request.argument for request in engine.requests] == [asked]
            assert engine.requests[0].image.size == picture(0).size
            assert list(report["tasks"]) == [name]
            assert report["tasks"][name]["measures"][measure]["value"] == value
            assert report["data"] == {
                "name": name, "split": PUBLISHED[name].splits[0], "pictures": 1, "limit": None
            }  # fmt: skip

    def test_an_invalid_row_is_named_with_its_field(self, tmp_path: Path, name: str) -> None:
        fields = {
            "refcoco": "sentences",
            "gqa": "answer",
            "vsr": "label",
            "hm": "label",
            "iconvqa": "choices",
            "chair": "category_id",
        }
        field = fields.get(name.removesuffix("_plus").removesuffix("g"), "answers")

        def broken(rows: Any) -> Any:
            row = rows[-1] if isinstance(rows, list) else next(iter(rows.values()))
            del row[field]
            return rows

        WRITERS[name](tmp_path, broken)
        with pytest.raises(DataError, match=rf"^{tmp_path}.*\.(jsonl?|p)(:\d|, row \d).*{field}"):
            published_set(name, tmp_path)

    def test_a_missing_file_or_image_is_named(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match=rf"no {tmp_path}"):
            published_set(name, tmp_path)
        WRITERS[name](tmp_path, lambda rows: rows)
        (gone,) = (path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png"))
        gone.unlink()
        with pytest.raises(DataError, match=rf"{gone.name}"):
            published_set(name, tmp_path)

    def test_a_split_that_is_not_published_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(
            DataError, match=rf"{name} has no split 'best': choose one of {PUBLISHED[name].splits[0]}"
        ):
            published_set(name, tmp_path, "best")


def test_only_the_requested_split_is_read(tmp_path: Path) -> None:
    WRITERS["refcoco"](tmp_path, lambda rows: rows)
    (item,) = published_set("refcoco", tmp_path, "val").suites["refcoco"].items
    assert (item.texts, item.boxes) == (("left dog",), (Box(5, 5, 55, 55),))
    with pytest.raises(DataError, match="refcoco has no items in the split 'testB'"):
        published_set("refcoco", tmp_path, "testB")


def test_a_box_is_compared_with_the_exact_one(tmp_path: Path) -> None:
    WRITERS["refcoco"](tmp_path, lambda rows: rows)
    path = tmp_path / "refcoco/refcoco/instances.json"
    path.write_text(path.read_text().replace("[10.0, 20.0, 100.0, 200.0]", "[10.0, 20.0, 101.8, 200.0]"))
    engine = ScriptedEngine({Task.REFER: "{<5><5><55><55>}"})
    report = evaluate(VisionLanguageModel(engine), published_set("refcoco", tmp_path))
    # In pixels, with one more for each box: 101 of 102.8 wide, and equally high.
    assert report["tasks"]["refcoco"]["measures"]["mean_iou"]["value"] == pytest.approx(101 / 102.8)


SHORT = "Based on the image, respond to this question with a short answer: "
ASKED = {
    "chair": "generate a brief description of the given image",
    **dict.fromkeys(("refcoco", "refcoco_plus", "refcocog"), "[refer] give me the location of left dog"),
    "gqa": f"[vqa] {SHORT}Is it overcast?",
    **dict.fromkeys(("okvqa", "vqav2"), f"[vqa] {SHORT}What sport is this?"),
    "vsr": "[vqa] Based on the image, is this statement true or false? The cat is behind the laptop.",
    "iconvqa": f"[vqa] {SHORT}What is the probability?",
    "vizwiz": "[vqa] The question is 'What can is it?' Based on the image, answer the question with a single "
    "word or phrase. and reply 'unanswerable' when the provided information is insufficient",
    "hm": "This is an image writting 'a'. Is this image hateful? Answer yes or no. Answer:",
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_model_of_the_released_form_gets_the_prompts_of_the_reference(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path, lambda rows: rows)
    (item,) = published_set(name, tmp_path).suites[name].items
    assert item.request.turns_in(RELEASED)[-1].user == ASKED[name]


@pytest.mark.parametrize(
    ("prompt", "asked", "task"),
    [
        ("grounded", "[grounding] describe this image in as detailed as possible", Task.GROUNDING),
        ("short", "[caption] briefly describe the image", Task.CAPTION),
    ],
)
def test_chair_counts_what_is_neither_drawn_nor_in_a_caption(
    tmp_path: Path, prompt: str, asked: str, task: Task
) -> None:
    chair(tmp_path, lambda rows: rows)
    data = published_set("chair", tmp_path, prompt)
    (item,) = data.suites["chair"].items  # the other picture has no objects
    assert item.request.turns_in(RELEASED)[-1].user == asked
    caption = "a man on a bench with two dogs and a cat"
    measures = evaluate(VisionLanguageModel(ScriptedEngine({task: caption})), data)["tasks"]["chair"][
        "measures"
    ]
    found = {name: measures[name]["value"] for name in ("chair_objects", "chair_sentences", "words")}
    assert found == {"chair_objects": 0.25, "chair_sentences": 1.0, "words": 11.0}


def test_chair_draws_the_same_pictures_every_time(tmp_path: Path) -> None:
    chair(tmp_path, lambda _: [{"image_id": number, "category_id": 1} for number in range(2100)])
    captions = [{"image_id": number, "caption": "Somebody."} for number in range(2100)]
    put(tmp_path / "coco/annotations/captions_val2014.json", {"annotations": captions})
    drawn = [[it.image for it in chair_items(tmp_path, "short")] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 2000


def test_an_object_of_no_category_is_named(tmp_path: Path) -> None:
    chair(tmp_path, lambda _: [{"image_id": 42, "category_id": 91}])
    with pytest.raises(DataError, match=r"instances_val2014\.json.*there is no category 91"):
        published_set("chair", tmp_path)


@pytest.mark.parametrize(
    ("name", "task", "answer", "measure", "value"),
    [
        pytest.param(
            "refcoco", Task.REFER, "it is at {<5><5><55><55>}", "accuracy_at_50", 0, id="text before a box"
        ),
        # Two of ten people's answer: a third for each, or each person left out in turn.
        pytest.param("vizwiz", Task.VQA, "Soda", "vqa_accuracy", 2 / 3, id="a third for each person"),
        pytest.param("okvqa", Task.VQA, "Racing.", "vqa_accuracy", 0.6, id="partial agreement"),
    ],
)
def test_an_answer_is_scored_as_in_the_reference(
    tmp_path: Path, name: str, task: Task, answer: str, measure: str, value: float
) -> None:
    WRITERS[name](tmp_path, lambda rows: rows)
    report = evaluate(VisionLanguageModel(ScriptedEngine({task: answer})), published_set(name, tmp_path))
    assert report["tasks"][name]["measures"][measure]["value"] == pytest.approx(value)


def test_the_likeliest_choice_is_the_answer_if_the_engine_can_rank(tmp_path: Path) -> None:
    class Ranking(ScriptedEngine):
        def rank(self, request: Request, choices: Sequence[str]) -> list[float]:
            assert request.image is not None
            return [float(choice != "unlikely") for choice in choices]

    WRITERS["iconvqa"](tmp_path, lambda rows: rows)
    report = evaluate(VisionLanguageModel(Ranking({})), published_set("iconvqa", tmp_path))
    assert report["tasks"]["iconvqa"]["answers"][0]["raw"] == "unlikely"
    assert report["tasks"]["iconvqa"]["measures"]["accuracy"]["value"] == 1


def test_an_invalid_choice_is_an_error(tmp_path: Path) -> None:
    def broken(rows: dict[str, Any]) -> dict[str, Any]:
        rows["35"]["answer"] = 2
        return rows

    WRITERS["iconvqa"](tmp_path, broken)
    with pytest.raises(DataError, match=r"problems.json, row 1: answer: there is no choice 2"):
        published_set("iconvqa", tmp_path)


def test_the_loss_of_a_choice_is_divided_by_the_length_of_the_sequence() -> None:
    engine = LocalEngine("tiny", tiny_model(), tiny_processor())
    request = Request(Task.VQA, "what?", image=picture(0))
    prompt = engine.processor([request.image], [request.turns])
    for choice, loss in zip(("a dog", "two"), engine.rank(request, ("a dog", "two")), strict=True):
        ids = [*engine.processor.tokenizer(choice, add_special_tokens=False)["input_ids"], 1]
        whole = torch.cat([prompt["input_ids"], torch.tensor([ids])], dim=1)
        with torch.inference_mode():
            logits = engine.model(input_ids=whole, pixel_values=prompt["pixel_values"]).logits[0]
        costs = -logits.log_softmax(-1)[-len(ids) - 1 : -1].gather(1, torch.tensor(ids)[:, None])
        assert loss == pytest.approx(float(costs.sum()) / (whole.shape[1] - 1), rel=1e-4)


def test_the_available_datasets_of_the_paper_are_measured_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none of the paper's datasets: there is no okvqa, gqa"):
        paper_set(tmp_path)
    for name in ("gqa", "hm", "vqav2"):
        WRITERS[name](tmp_path, lambda rows: rows)
    data = paper_set(tmp_path)
    assert (list(data.suites), data.pictures) == (["gqa", "hm"], 2)
    report = evaluate(VisionLanguageModel(ScriptedEngine({Task.VQA: "no", None: "yes"})), data)
    assert [it["measures"]["accuracy"]["value"] for it in report["tasks"].values()] == [1.0, 1.0]


def test_each_figure_of_the_paper_has_a_set_and_a_split() -> None:
    for name in PAPER:
        which, _, split = name.partition(" ")
        assert split in ("", *PUBLISHED[which].splits)
