"""The suites on a folder of generated photos, and their report."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.answers import Request
from assistant.vlm.data.expressions import expressions
from assistant.vlm.data.instructions import certain_boxes, vqa_samples
from assistant.vlm.data.nouns import plural
from assistant.vlm.data.photos import DetectedObject, Photo, PhotoFolder
from assistant.vlm.errors import AssistantError, DataError
from assistant.vlm.evaluation import text_suites
from assistant.vlm.evaluation.evaluate import BATCH
from assistant.vlm.evaluation.evaluate import evaluate as run
from assistant.vlm.evaluation.hallucination import (
    PROMPTS,
    absent_class,
    named_classes,
    presence_items,
    present_classes,
)
from assistant.vlm.evaluation.provenance import weights_hash
from assistant.vlm.evaluation.report import page_path, write_report
from assistant.vlm.evaluation.suites import SUITES, photo_set
from assistant.vlm.grounding import GroundedPhrase, format_box, format_boxes, format_detection
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine
from .tiny import dog_records, write_photo_folder


def evaluate(engine: ScriptedEngine, folder: PhotoFolder, *names: str, **options: Any) -> dict[str, Any]:
    return run(VisionLanguageModel(engine), photo_set(folder, names or None), **options)


def measured(engine: ScriptedEngine, folder: PhotoFolder, name: str) -> dict[str, float]:
    figures = evaluate(engine, folder, name)["tasks"][name]["measures"]
    return {measure: figure["value"] for measure, figure in figures.items()}


def thing(label: str, left: float, score: float = 0.9) -> dict[str, Any]:
    return {"label": label, "score": score, "box": [left, 0.2, left + 0.2, 0.8]}


RECORDS: list[dict[str, Any]] = [
    {
        "image": "dog.png",
        "captions": ["a brown puppy runs through deep snow"],
        "objects": [thing("dog", 0.1), thing("person", 0.6)],
        "questions": [{"question": "what colours are there?", "answer": ["brown", "white"]}],
    },
    {
        "image": "cats.png",
        "captions": ["two cats sleep on an old sofa"],
        "objects": [thing("cat", 0.0), thing("cat", 0.7)],
        "questions": [{"question": "is it day?", "answer": ["yes"]}],
    },
    {"image": "bus.png", "captions": ["a red bus waits at the corner"], "objects": [thing("bus", 0.3)]},
]


@pytest.fixture
def folder(tmp_path: Path) -> PhotoFolder:
    return PhotoFolder(write_photo_folder(tmp_path / "photos", RECORDS), "train")


def knowing(folder: PhotoFolder, answer: Callable[[Photo, Request], str]) -> ScriptedEngine:
    """A model that knows which photo it gets."""
    photos = {folder.read(photo).tobytes(): photo for photo in folder.photos}

    def look(request: Request) -> str:
        assert request.image is not None
        return answer(photos[request.image.tobytes()], request)

    return ScriptedEngine(dict.fromkeys([*Task, None], look))


def right(photo: Photo, request: Request) -> str:
    """The annotated answer."""
    boxes = {item.label: certain_boxes(photo, item.label) for item in photo.objects}
    match request.task:
        case Task.CAPTION | None:
            return photo.captions[0]
        case Task.REFER:
            known = {item.definite: format_box(item.box) for item in expressions(photo)}
            return known.get(request.argument, "")
        case Task.IDENTIFY:
            return next(item.text for item in expressions(photo) if item.box == request.region)
        case Task.DETECTION:
            found = boxes.get(request.argument)
            return format_detection([GroundedPhrase(request.argument, found)]) if found else ""
        case Task.GROUNDING:
            return " and ".join(f"<p>a {label}</p>{format_boxes(found)}" for label, found in boxes.items())
    answers = {question.question: ", ".join(question.answer) for question in photo.questions}
    answers |= {f"how many {plural(label)} are there?": str(len(found)) for label, found in boxes.items()}
    answers |= {f"is there a {label} in the picture?": "yes" for label in boxes}
    return answers.get(request.argument, "no")


class TestSuites:
    def test_perfect_answers_score_1_and_hallucinate_nothing(self, folder: PhotoFolder) -> None:
        report = evaluate(knowing(folder, right), folder)
        measures = {
            f"{task}.{name}": figure["value"]
            for task, result in report["tasks"].items()
            for name, figure in result["measures"].items()
            if figure["count"] and "_if_" not in name
        }
        assert measures.pop("caption.cider_d") == pytest.approx(10.0)
        assert 0.0 < measures.pop("presence.says_yes") < 0.5
        assert [measures.pop(f"hallucination.words_{prompt}") for prompt in PROMPTS] == [7.0, 3.0, 7.0]
        named = [measures.pop(f"hallucination.objects_named_{prompt}") for prompt in PROMPTS]
        assert named == pytest.approx([4 / 3] * 3)
        assert measures.pop("grounding.phrases_a_caption") == 1.5
        # All questions begin differently, so there is no blind answer.
        assert [measures.pop(f"vqa.top_1{of}_blind") for of in ("", "_generated")] == [0.0, 0.0]
        none = {name for name in measures if "malformed" in name or "chair_" in name or "false_finds" in name}
        assert measures == pytest.approx({name: float(name not in none) for name in measures})
        assert {task: result["items"] for task, result in report["tasks"].items()} == {
            "refer": 5, "caption": 3, "vqa": 2, "counting": 4, "identify": 5, "detection": 4, "grounding": 2,
            "hallucination": 9, "absent": 6, "presence": 10,
        }  # fmt: skip

    def test_counts_say_over_how_many_items(self, folder: PhotoFolder) -> None:
        report = evaluate(knowing(folder, right), folder, "refer", "detection")
        refer = report["tasks"]["refer"]["measures"]
        assert {name: figure["count"] for name, figure in refer.items()} == {
            "accuracy_at_50_unique": 3,
            "accuracy_at_50_unique_people": 1,
            "accuracy_at_50_unique_if_always_whole_picture": 3,
            "accuracy_at_50_captions_noun": 0,
            "accuracy_at_50_relative": 2,
            "mean_iou_unique": 3,
            "malformed": 5,
        }
        assert report["tasks"]["detection"]["measures"]["ap_50"]["count"] == 5

    def test_answers_in_another_format_are_malformed(self, folder: PhotoFolder) -> None:
        engine = knowing(folder, lambda photo, request: "it is here: " + right(photo, request))
        measures = measured(engine, folder, "refer")
        assert (measures["malformed"], measures["accuracy_at_50_unique"]) == (1.0, 1.0)

    @pytest.mark.parametrize("raw", ["", "{<1><2>", "no", "{<900><900><901><901>}"])
    def test_answers_without_boxes_score_0(self, folder: PhotoFolder, raw: str) -> None:
        engine = knowing(folder, lambda *_: raw)
        values = measured(engine, folder, "refer") | measured(engine, folder, "detection")
        assert values == {name: float(name == "malformed") for name in values}

    def test_a_synonym_names_the_class_and_another_class_does_not(self, folder: PhotoFolder) -> None:
        measures = measured(knowing(folder, lambda *_: "a small puppy"), folder, "identify")
        assert measures["exact_class"] == pytest.approx(1 / 5)

    def test_a_count_that_is_off_by_one_is_counted_apart(self, folder: PhotoFolder) -> None:
        measures = measured(knowing(folder, lambda *_: "2 of them"), folder, "counting")
        assert (measures["exact"], measures["within_1"]) == (pytest.approx(1 / 4), 1.0)
        assert (measures["exact_of_several"], measures["exact_if_always_one"]) == (1.0, pytest.approx(3 / 4))

    def test_a_repeated_box_counts_once(self, folder: PhotoFolder) -> None:
        engine = knowing(folder, lambda photo, request: " ".join([right(photo, request)] * 2))
        assert measured(engine, folder, "detection")["precision_at_50"] == 1.0

    def test_a_phrase_counts_only_if_it_can_mean_one_thing(self, folder: PhotoFolder) -> None:
        raw = "<p>a puppy</p>{<10><20><30><80>} by <p>two cats</p>{<0><0><9><9>}, <p>a bus</p>{<0><0><9><9>}"
        report = evaluate(knowing(folder, lambda *_: raw), folder, "grounding")
        figures = report["tasks"]["grounding"]["measures"]
        # The dog of one photo is found, the bus of the other is not; the photo of two cats is not asked.
        assert (figures["phrase_accuracy_at_50"]["value"], figures["phrase_accuracy_at_50"]["count"]) == (
            0.5,
            2,
        )
        twice = evaluate(knowing(folder, lambda *_: raw.replace("a bus", "a dog")), folder, "grounding")
        assert twice["tasks"]["grounding"]["measures"]["phrase_accuracy_at_50"]["count"] == 0

    @pytest.mark.parametrize("source", ["daquar", "another"])
    def test_wups_is_for_daquar_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
    ) -> None:
        monkeypatch.setattr(text_suites, "wordnet_similarity", lambda: lambda *_: 0.8)
        records = [RECORDS[0] | {"source": source}]
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "train")
        measures = measured(ScriptedEngine({Task.VQA: "brown, blue"}), folder, "vqa")
        wups = {name: value for name, value in measures.items() if name.startswith("wups")}
        expected = {"wups_0.9": 0.08, "wups_0.0": 0.8} if source == "daquar" else {}
        assert wups == pytest.approx(expected)

    def test_without_wordnet_the_rest_is_measured_with_a_note(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "nltk", None)
        monkeypatch.setitem(sys.modules, "nltk.corpus", None)
        folder = PhotoFolder(write_photo_folder(tmp_path, [RECORDS[0] | {"source": "daquar"}]), "train")
        result = evaluate(knowing(folder, right), folder, "vqa")["tasks"]["vqa"]
        assert result["measures"]["top_1"]["value"] == 1.0
        assert len(result["notes"]) == 1
        assert result["notes"][0].startswith("no WUPS: WUPS needs WordNet")


class TestHallucination:
    @pytest.mark.parametrize(
        ("text", "classes"),
        [
            ("two dogs and a girl", {"dog", "person"}),
            ("a man eats a hot dog", {"person", "hot dog"}),
            ("an orange frisbee", {"frisbee"}),
            ("a dogfish in the doghouse", set()),
            ("A TV on the SOFA.", {"tv", "couch"}),
            ("a baseball player on a basketball court", {"person"}),
            ("a man plays basketball", {"person", "sports ball"}),
            ("a baseball bat by a hot-dog stand", {"baseball bat"}),
            ("a hot-dog on the table", {"hot dog", "dining table"}),
        ],
    )
    def test_classes_are_named_by_whole_words(self, text: str, classes: set[str]) -> None:
        assert named_classes(text) == classes

    def test_a_low_score_or_one_caption_makes_a_class_present(self) -> None:
        photo = Photo(
            image="a.png", source="generated", split="val",
            captions=("a dog", "a puppy by a bench"),
            objects=(DetectedObject(label="cat", score=0.1, box=(0, 0, 1, 1)),),
        )  # fmt: skip
        assert present_classes(photo) == {"dog", "bench", "cat"}
        assert absent_class(photo) not in {"dog", "cat", None}
        assert absent_class(photo) == absent_class(photo)
        assert absent_class(photo.model_copy(update={"captions": ()})) is None

    def test_chair_counts_objects_and_sentences_for_each_prompt(self, folder: PhotoFolder) -> None:
        answers = {None: "a dog, a cat and a bus", Task.GROUNDING: "a dog", Task.CAPTION: "nothing"}
        measures = measured(ScriptedEngine(answers), folder, "hallucination")
        # Dog, cat and bus are each in one of the three photos.
        assert {name: value for name, value in measures.items() if name.startswith("chair")} == {
            "chair_objects_long": pytest.approx(2 / 3),
            "chair_sentences_long": 1.0,
            "chair_objects_grounded": pytest.approx(2 / 3),
            "chair_sentences_grounded": pytest.approx(2 / 3),
            "chair_objects_short": 0.0,
            "chair_sentences_short": 0.0,
        }

    def test_a_box_for_an_absent_thing_counts_by_its_score(self, folder: PhotoFolder) -> None:
        boxes = {Task.REFER: "{<1><2><30><40>}", Task.DETECTION: ""}
        measures = measured(ScriptedEngine(boxes, score=0.6), folder, "absent")
        assert measures == {
            "refer_false_finds": 1.0,
            "refer_false_finds_from_0.25": 1.0,
            "refer_false_finds_from_0.5": 1.0,
            "refer_false_finds_from_0.75": 0.0,
            **{name: 0.0 for name in measures if name.startswith("detection")},
        }

    def test_a_model_that_answers_by_class_alone_is_exposed(self, folder: PhotoFolder) -> None:
        # A person, a dog and a cat are each in one of the three photos that are asked about them.
        by_class = knowing(folder, lambda _, request: "yes" if request.argument.split()[3] == "bus" else "no")
        blind, looking = (
            measured(by_class, folder, "presence"),
            measured(knowing(folder, right), folder, "presence"),
        )
        assert (
            blind["accuracy"] == blind["accuracy_if_by_class_alone"] == looking["accuracy_if_by_class_alone"]
        )
        assert blind["accuracy_rarer_answer"] == 0.0
        assert (looking["accuracy"], looking["accuracy_rarer_answer"]) == (1.0, 1.0)

    def test_presence_questions_are_worded_as_in_training(self, tmp_path: Path) -> None:
        records = [record | {"objects": [thing("umbrella", 0.1)]} for record in dog_records(1)]
        (photo,) = PhotoFolder(write_photo_folder(tmp_path, records), "train").photos
        asked = {item.request.argument for item in presence_items(photo)}
        trained = {
            sample.turn.user for seed in range(20) for sample in vqa_samples(photo, random.Random(seed))
        }
        assert "is there an umbrella in the picture?" in asked
        assert {f"[vqa] {question}" for question in asked if "umbrella" in question} <= trained

    def test_always_yes_is_right_for_present_things(self, folder: PhotoFolder) -> None:
        measures = measured(ScriptedEngine({Task.VQA: "Yes."}), folder, "presence")
        assert (measures["accuracy_present"], measures["accuracy_absent"], measures["says_yes"]) == (
            1.0,
            0.0,
            1.0,
        )


class TestRuns:
    def test_questions_are_worded_as_in_inference(self, folder: PhotoFolder) -> None:
        engine = knowing(folder, right)
        report = evaluate(engine, folder, "refer")
        asked = [row["asked"] for row in report["tasks"]["refer"]["answers"]]
        assert asked == [request.turns[-1].user for request in engine.requests]
        assert asked[0] == "[refer] give me the location of the dog"

    def test_requests_of_one_task_are_batched_together(self, folder: PhotoFolder) -> None:
        engine = knowing(folder, right)
        report = evaluate(engine, folder, "hallucination")
        assert [request.task for request in engine.requests] == [None] * 3 + [Task.GROUNDING] * 3 + [
            Task.CAPTION
        ] * 3
        rows = report["tasks"]["hallucination"]["answers"]
        assert [row["image"] for row in rows] == [
            name for name in ("dog.png", "cats.png", "bus.png") for _ in range(3)
        ]

    def test_a_limit_draws_the_same_items_every_time(self, folder: PhotoFolder) -> None:
        def asked(limit: int | None) -> list[str]:
            engine = knowing(folder, right)
            evaluate(engine, folder, "refer", limit=limit)
            return [request.argument for request in engine.requests]

        assert asked(2) == asked(2)
        assert len(asked(2)) == 2
        assert asked(99) == asked(None)
        assert set(asked(3)) < set(asked(None))

    def test_progress_is_reported_per_batch(self, tmp_path: Path) -> None:
        records = [RECORDS[2] | {"image": f"{number}.png"} for number in range(BATCH + 1)]
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "train")
        calls: list[tuple[str, int, int]] = []
        evaluate(ScriptedEngine(), folder, "refer", progress=lambda *step: calls.append(step))
        assert calls == [("refer", BATCH, BATCH + 1), ("refer", BATCH + 1, BATCH + 1)]

    def test_a_named_suite_without_items_is_an_error(self, tmp_path: Path) -> None:
        records = [{"image": "plain.png", "captions": ["nothing to see"]}]
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "train")
        with pytest.raises(DataError, match=r"no photo of .* \(train\) has what 'refer' needs"):
            photo_set(folder, ["caption", "refer"])
        assert list(photo_set(folder).suites) == ["caption", "hallucination", "absent", "presence"]

    def test_missing_scorers_are_reported_before_the_model_runs(
        self, folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
        engine = ScriptedEngine()
        with pytest.raises(AssistantError, match=r"pip install 'visual-assistant\[evaluation\]'"):
            evaluate(engine, folder, "refer", "caption")
        assert engine.requests == []

    def test_a_stopped_run_keeps_the_finished_suites(self, folder: PhotoFolder) -> None:
        kept: list[dict[str, Any]] = []
        engine = ScriptedEngine({Task.CAPTION: KeyboardInterrupt()})
        with pytest.raises(KeyboardInterrupt):
            evaluate(
                engine, folder, "refer", "caption", "vqa",
                save=lambda report: kept.append(json.loads(json.dumps(report))),
            )  # fmt: skip
        assert [(list(report["tasks"]), report["unfinished"]) for report in kept] == [
            ([], ["refer", "caption", "vqa"]),
            (["refer"], ["caption", "vqa"]),
        ]


class TestReport:
    def test_it_is_json_with_every_answer_and_its_provenance(
        self, folder: PhotoFolder, tmp_path: Path
    ) -> None:
        report = evaluate(knowing(folder, right), folder, limit=5)
        path = tmp_path / "new" / "report.json"
        write_report(report, path, photo_set(folder).read)
        read = json.loads(path.read_text(encoding="utf-8"))
        assert read["model"] == "scripted"
        assert read["data"] == {"name": "photos", "split": "train", "pictures": 3, "limit": 5}
        assert read["date"].startswith("20")
        assert "torch" in read["versions"]
        assert read["weights_sha256"] is None
        assert {"commit", "machine"} <= read.keys()
        of_boxes = [name for name in SUITES if not name.startswith("phrase_")]
        assert (list(read["tasks"]), read["unfinished"]) == (of_boxes, [])
        row = read["tasks"]["refer"]["answers"][0]
        assert row == {
            "image": "dog.png",
            "asked": "[refer] give me the location of the dog",
            "raw": "{<10><20><30><80>}",
            "wanted": ["the dog"],
            "wanted_boxes": [[10, 20, 30, 80]],
            "scores": [0.83],
            "quality": 1.0,
        }
        assert all(len(result["answers"]) == result["items"] for result in read["tasks"].values())
        assert sorted(file.name for file in path.parent.iterdir()) == ["report.html", "report.json"]

    def test_the_page_shows_hits_and_misses_with_their_boxes(
        self, folder: PhotoFolder, tmp_path: Path
    ) -> None:
        page = self.page(folder, tmp_path, "{<10><20><30><80>}")
        assert page.count('<img src="data:image/jpeg;base64,') == page.count("<figure") == 5
        assert (page.count('<figure class="hit"'), page.count('<figure class="miss"')) == (1, 4)
        assert '<rect class="found" x="10" y="20" width="20" height="60"/>' in page
        assert page.count('<rect class="right" x="') == 5 + 1  # and that of the legend
        assert "http" not in page.replace("http-equiv", "")

    def test_text_from_data_and_model_is_escaped(self, folder: PhotoFolder, tmp_path: Path) -> None:
        evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
        page = self.page(folder, tmp_path, evil)
        assert "<script" not in page
        assert "onerror=alert(1)&gt;" in page
        records = [RECORDS[0] | {"captions": [evil], "questions": [{"question": evil, "answer": [evil]}]}]
        other = PhotoFolder(write_photo_folder(tmp_path / "other", records), "train")
        report = evaluate(ScriptedEngine(), other, "vqa")
        write_report(report, tmp_path / "other.json", photo_set(other).read)
        page = (tmp_path / "other.html").read_text(encoding="utf-8")
        assert "<script" not in page
        assert page.count("&lt;script&gt;") == 2  # in the question and in the answer that is wanted

    def page(self, folder: PhotoFolder, tmp_path: Path, raw: str) -> str:
        report = evaluate(ScriptedEngine({Task.REFER: raw}), folder, "refer")
        write_report(report, tmp_path / "report.json", photo_set(folder).read)
        return page_path(tmp_path / "report.json").read_text(encoding="utf-8")

    def test_an_unwritable_report_is_reported_before_the_model_runs(
        self, folder: PhotoFolder, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        engine = ScriptedEngine()
        out = tmp_path / "file" / "report.json"
        with pytest.raises(AssistantError, match=r"cannot write .*; name another --out"):
            evaluate(engine, folder, save=lambda report: write_report(report, out, photo_set(folder).read))
        assert engine.requests == []

    def test_an_unfinished_run_says_so_on_its_page(self, folder: PhotoFolder, tmp_path: Path) -> None:
        report = evaluate(ScriptedEngine(), folder, "refer") | {"unfinished": ["caption", "vqa"]}
        write_report(report, tmp_path / "report.json", photo_set(folder).read)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "This run is unfinished: caption, vqa still to run." in page

    def test_the_hash_is_that_of_the_adapter_in_use(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
        assert weights_hash(str(tmp_path)) == hashlib.sha256(b"weights").hexdigest()
        shipped = PRESETS["nano"].adapter / "adapter_model.safetensors"
        assert weights_hash("nano") == hashlib.sha256(shipped.read_bytes()).hexdigest()
        assert weights_hash("http://127.0.0.1:9") is None
