"""Measures against numbers worked out by hand, and the suites over a folder of generated photos."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.answers import Request
from assistant.vlm.data.expressions import expressions
from assistant.vlm.data.instructions import all_of
from assistant.vlm.data.nouns import plural
from assistant.vlm.data.photos import Photo, PhotoFolder
from assistant.vlm.errors import AssistantError, DataError
from assistant.vlm.evaluation.evaluate import BATCH, evaluate, write_report
from assistant.vlm.evaluation.metrics import (
    Measure,
    average_precision,
    bootstrap,
    caption_scores,
    match_boxes,
    mean,
    proportion,
    same_answer,
)
from assistant.vlm.evaluation.suites import SUITES
from assistant.vlm.grounding import Box, GroundedPhrase, format_box, format_detection
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine
from .tiny import write_photo_folder

TASKS = list(SUITES)


class TestIntervals:
    def test_a_share_has_wilsons_interval(self) -> None:
        # (0.8 + 1.96²/20 ± 1.96 √(0.8·0.2/10 + 1.96²/400)) / (1 + 1.96²/10)
        measure = proportion([True] * 8 + [False] * 2)
        assert (measure.value, measure.count) == (0.8, 10)
        assert (measure.low, measure.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)

    @pytest.mark.parametrize(
        ("hits", "low", "high"), [([False] * 10, 0.0, 0.2775), ([True] * 10, 0.7225, 1.0), ([], 0.0, 1.0)]
    )
    def test_the_interval_stays_within_0_and_1(self, hits: list[bool], low: float, high: float) -> None:
        measure = proportion(hits)
        assert (measure.low, measure.high) == pytest.approx((low, high), abs=5e-5)
        assert 0.0 <= measure.low <= measure.value <= measure.high + 1e-12 <= 1.0 + 1e-12

    def test_a_mean_has_the_interval_that_resampling_gives(self) -> None:
        values = [float(number % 2) for number in range(100)]
        measure = mean(values)
        assert (measure.value, measure.count) == (0.5, 100)
        # The mean of 100 coins has a standard deviation of 0.05.
        assert (measure.low, measure.high) == pytest.approx((0.4, 0.6), abs=0.03)
        assert mean(values) == measure
        assert mean([]) == Measure(0.0, 0.0, 0.0, 0)
        assert bootstrap([0.25] * 3, max) == Measure(0.25, 0.25, 0.25, 3)


class TestAnswers:
    @pytest.mark.parametrize(
        ("predicted", "wanted"),
        [
            ("brown", ["brown"]),
            ("A brown.", ["brown"]),
            ("The Eiffel Tower", ["eiffel tower"]),
            ("a cat and a dog", ["dog", "cat"]),
            ("dog, cat", ["cat", "dog"]),
            ("red, white, and blue", ["red", "white", "blue"]),
            ("Red , white AND blue", ["blue", "white", "red"]),
            ("salt and pepper", ["salt and pepper"]),
            ("it's", ["it's"]),
        ],
    )
    def test_the_same_things_in_other_words(self, predicted: str, wanted: list[str]) -> None:
        assert same_answer(predicted, wanted)

    @pytest.mark.parametrize(
        ("predicted", "wanted"),
        [
            ("brown", ["red"]),
            ("", ["red"]),
            ("red", ["red", "blue"]),
            ("red, blue", ["red"]),
            ("sand", ["s"]),
        ],
    )
    def test_other_things(self, predicted: str, wanted: list[str]) -> None:
        assert not same_answer(predicted, wanted)


class TestBoxes:
    WANTED = (Box(0, 0, 20, 20), Box(50, 50, 70, 70))

    def test_each_wanted_box_is_found_once(self) -> None:
        found = (self.WANTED[0], self.WANTED[0], self.WANTED[1])
        assert match_boxes(found, self.WANTED) == [False, True, True]

    def test_the_box_that_overlaps_most_is_the_one(self) -> None:
        close, exact = Box(0, 0, 20, 15), self.WANTED[0]
        assert match_boxes((close, exact), self.WANTED) == [False, True]
        assert match_boxes((close,), self.WANTED) == [True]

    def test_half_of_the_union_is_enough_and_less_is_not(self) -> None:
        assert match_boxes([Box(0, 0, 20, 10)], self.WANTED) == [True]
        assert match_boxes([Box(0, 0, 20, 9)], self.WANTED) == [False]
        assert match_boxes([], self.WANTED) == []
        assert match_boxes(self.WANTED, []) == [False, False]

    @pytest.mark.parametrize(
        ("hits", "wanted", "precision"),
        [
            ([True, True], 2, 1.0),
            ([True, True], 4, 0.5),
            ([True, False, True], 2, (1 + 2 / 3) / 2),
            ([False, True, True], 2, (2 / 3 + 2 / 3) / 2),  # the best precision from there on counts
            ([False, False], 2, 0.0),
            ([], 3, 0.0),
            ([], 0, 0.0),
        ],
    )
    def test_average_precision_is_the_area_under_the_curve(
        self, hits: list[bool], wanted: int, precision: float
    ) -> None:
        scored = [(1 - rank / 10, hit) for rank, hit in enumerate(hits)]
        assert average_precision(scored, wanted) == pytest.approx(precision)
        assert average_precision(scored[::-1], wanted) == pytest.approx(precision)


class TestCaptions:
    REFERENCES = (
        ["a brown dog runs through deep snow"],
        ["two children play football on a beach"],
        ["an old man reads his newspaper slowly"],
    )

    def test_the_reference_itself_scores_the_most(self) -> None:
        scores = caption_scores([references[0] for references in self.REFERENCES], self.REFERENCES)
        assert scores["cider_d"].value == pytest.approx(10.0)
        assert scores["bleu_4"].value == pytest.approx(1.0)
        assert scores["cider_d"].count == scores["bleu_4"].count == 3

    def test_case_and_punctuation_do_not_count(self) -> None:
        predicted = [references[0].capitalize() + " ." for references in self.REFERENCES]
        assert caption_scores(predicted, self.REFERENCES)["cider_d"].value == pytest.approx(10.0)

    @pytest.mark.parametrize("caption", ["", "zebra zebra zebra zebra zebra", "..."])
    def test_a_useless_caption_scores_nothing(self, caption: str) -> None:
        scores = caption_scores([caption] * 3, self.REFERENCES)
        assert scores["cider_d"].value == 0.0
        assert scores["bleu_4"].value == pytest.approx(0.0, abs=1e-3)

    def test_one_word_right_of_one_caption_is_worth_what_the_formula_says(self) -> None:
        # Each word weighs ln 3, save "a", which two references have: ln 3/2. Of the four lengths of n-grams
        # only the first says anything, and the caption is six pairs of words too short.
        cosine = 1 / math.sqrt(6 + (math.log(3 / 2) / math.log(3)) ** 2)
        expected = 10 / 4 * cosine * math.exp(-(6**2) / (2 * 6.0**2)) / 3
        scores = caption_scores(["dog", "", ""], self.REFERENCES)
        assert scores["cider_d"].value == pytest.approx(expected)

    def test_scorers_that_are_not_installed_are_told_before_the_model_works(
        self, folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pycocoevalcap.cider.cider_scorer", None)
        engine = ScriptedEngine()
        with pytest.raises(AssistantError, match="pip install pycocoevalcap"):
            evaluate(VisionLanguageModel(engine), folder, [Task.REFER, Task.CAPTION])
        assert engine.requests == []


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
    """A model that is told which photo it sees."""
    photos = {folder.read(photo).tobytes(): photo for photo in folder.photos}

    def look(request: Request) -> str:
        assert request.image is not None
        return answer(photos[request.image.tobytes()], request)

    return ScriptedEngine(dict.fromkeys([*Task, None], look))


def right(photo: Photo, request: Request) -> str:
    """The answer that the annotations have."""
    known = expressions(photo)
    labels = {item.label for item in photo.objects}
    match request.task:
        case Task.CAPTION:
            return photo.captions[0]
        case Task.REFER:
            return next(format_box(item.box) for item in known if item.definite == request.argument)
        case Task.IDENTIFY:
            return next(item.text for item in known if item.box == request.region)
        case Task.DETECTION:
            return format_detection([GroundedPhrase(request.argument, all_of(photo, request.argument))])
    counts = {f"how many {plural(label)} are there?": len(all_of(photo, label)) for label in labels}
    answers = {question.question: ", ".join(question.answer) for question in photo.questions}
    return answers.get(request.argument) or str(counts[request.argument])


class TestSuites:
    def test_perfect_answers_score_1(self, folder: PhotoFolder) -> None:
        report = evaluate(VisionLanguageModel(knowing(folder, right)), folder, TASKS)
        measures = {
            f"{task}.{name}": figure["value"]
            for task, result in report["tasks"].items()
            for name, figure in result["measures"].items()
            if figure["count"] and "if_always" not in name
        }
        assert measures.pop("caption.cider_d") == pytest.approx(10.0)
        assert measures == pytest.approx(dict.fromkeys(measures, 1.0))
        assert len(measures) == 16
        assert {task: result["items"] for task, result in report["tasks"].items()} == {
            "refer": 5, "caption": 3, "vqa": 6, "identify": 5, "detection": 4,
        }  # fmt: skip

    def test_counts_say_over_how_many_items(self, folder: PhotoFolder) -> None:
        report = evaluate(VisionLanguageModel(knowing(folder, right)), folder, [Task.REFER, Task.DETECTION])
        refer = report["tasks"]["refer"]["measures"]
        assert {name: figure["count"] for name, figure in refer.items()} == {
            "accuracy_at_50_unique": 3,
            "accuracy_at_50_unique_people": 1,
            "accuracy_at_50_unique_if_always_whole_picture": 3,
            "accuracy_at_50_captions_noun": 0,
            "accuracy_at_50_relative": 2,
            "mean_iou_unique": 3,
            "well_formed": 5,
        }
        assert report["tasks"]["detection"]["measures"]["ap_50"]["count"] == 5

    def test_answers_of_another_form_lower_well_formed_and_nothing_else(self, folder: PhotoFolder) -> None:
        def wordy(photo: Photo, request: Request) -> str:
            return "it is here: " + right(photo, request)

        report = evaluate(VisionLanguageModel(knowing(folder, wordy)), folder, [Task.REFER])
        measures = report["tasks"]["refer"]["measures"]
        assert measures["well_formed"]["value"] == 0.0
        assert measures["accuracy_at_50_unique"]["value"] == 1.0

    @pytest.mark.parametrize("raw", ["", "{<1><2>", "no", "{<900><900><901><901>}"])
    def test_answers_that_are_no_boxes_score_0(self, folder: PhotoFolder, raw: str) -> None:
        model = VisionLanguageModel(knowing(folder, lambda *_: raw))
        report = evaluate(model, folder, [Task.REFER, Task.DETECTION])
        values = [
            figure["value"] for result in report["tasks"].values() for figure in result["measures"].values()
        ]
        assert values == [0.0] * len(values)

    def test_a_synonym_names_the_class_and_another_class_does_not(self, folder: PhotoFolder) -> None:
        report = evaluate(
            VisionLanguageModel(knowing(folder, lambda *_: "a small puppy")), folder, [Task.IDENTIFY]
        )
        assert report["tasks"]["identify"]["measures"]["exact_class"]["value"] == pytest.approx(1 / 5)

    def test_a_count_that_is_off_by_one_is_counted_apart(self, folder: PhotoFolder) -> None:
        report = evaluate(VisionLanguageModel(knowing(folder, lambda *_: "2 of them")), folder, [Task.VQA])
        measures = report["tasks"]["vqa"]["measures"]
        assert measures["count_exact"]["value"] == pytest.approx(1 / 4)
        assert measures["count_within_1"]["value"] == 1.0
        assert measures["human_top_1"]["value"] == 0.0

    def test_a_box_that_is_said_twice_is_one_box(self, folder: PhotoFolder) -> None:
        def twice(photo: Photo, request: Request) -> str:
            return f"{right(photo, request)} {right(photo, request)}"

        report = evaluate(VisionLanguageModel(knowing(folder, twice)), folder, [Task.DETECTION])
        assert report["tasks"]["detection"]["measures"]["precision_at_50"]["value"] == 1.0


class TestReport:
    def test_the_model_is_asked_in_the_words_of_inference(self, folder: PhotoFolder) -> None:
        engine = knowing(folder, right)
        report = evaluate(VisionLanguageModel(engine), folder, [Task.REFER])
        asked = [row["asked"] for row in report["tasks"]["refer"]["answers"]]
        assert asked == [request.turns[-1].user for request in engine.requests]
        assert asked[0] == "[refer] give me the location of the dog"

    def test_it_is_json_with_every_answer(self, folder: PhotoFolder, tmp_path: Path) -> None:
        model = VisionLanguageModel(knowing(folder, right))
        report = evaluate(model, folder, TASKS)
        path = tmp_path / "new" / "report.json"
        write_report(report, path)
        read = json.loads(path.read_text(encoding="utf-8"))
        assert (read["model"], read["data"]) == (
            "scripted", {"folder": "photos", "split": "train", "photos": 3},
        )  # fmt: skip
        assert list(read["tasks"]) == [task.value for task in TASKS]
        row = read["tasks"]["refer"]["answers"][0]
        assert (row["image"], row["raw"], row["scores"]) == ("dog.png", "{<10><20><30><80>}", [0.83])
        assert row["wanted"]["box"]["x0"] == 10
        assert all(len(result["answers"]) == result["items"] for result in read["tasks"].values())

    def test_a_limit_draws_the_same_items_every_time(self, folder: PhotoFolder) -> None:
        def asked(limit: int | None) -> list[str]:
            engine = knowing(folder, right)
            evaluate(VisionLanguageModel(engine), folder, [Task.REFER], limit)
            return [request.argument for request in engine.requests]

        assert asked(2) == asked(2)
        assert len(asked(2)) == 2
        assert asked(99) == asked(None)
        assert set(asked(3)) < set(asked(None))

    def test_progress_is_told_batch_by_batch(self, tmp_path: Path) -> None:
        records = [RECORDS[2] | {"image": f"{number}.png"} for number in range(BATCH + 1)]
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "train")
        told: list[tuple[Task, int, int]] = []
        model = VisionLanguageModel(ScriptedEngine())
        evaluate(model, folder, [Task.REFER], progress=lambda *step: told.append(step))
        assert told == [(Task.REFER, BATCH, BATCH + 1), (Task.REFER, BATCH + 1, BATCH + 1)]

    def test_a_task_that_no_photo_can_be_asked_is_told_before_the_model_works(self, tmp_path: Path) -> None:
        records = [{"image": "plain.png", "captions": ["nothing to see"]}]
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "train")
        engine = ScriptedEngine()
        with pytest.raises(DataError, match=r"no photo of .* \(train\) has what \[refer\] needs"):
            evaluate(VisionLanguageModel(engine), folder, [Task.CAPTION, Task.REFER])
        assert engine.requests == []
