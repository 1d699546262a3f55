"""The suites for human phrases, on photos written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.answers import Generation
from assistant.vlm.data.photos import Photo
from assistant.vlm.evaluation import phrases
from assistant.vlm.evaluation.items import Item, Scored
from assistant.vlm.evaluation.suites import SUITES, photo_set
from assistant.vlm.evaluation.text_suites import vqa_items, vqa_score
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import ABSENT_ANSWER, Task

from .phrased import phrased

WALK = phrased(
    "[A man|1|people|left] in [a red shirt|2|clothing|left] walks [two dogs|3|animals|middle right]",
    "[The guy|1|people|left] outside",
    image="walk.png",
)
BOAT = phrased("[A boat|1|vehicles|middle] at sea", "[a ship|1|vehicles|middle]", image="boat.png")
PHOTOS = (WALK, BOAT)
LEFT_BOX, MIDDLE_BOX, RIGHT_BOX = Box(0, 20, 20, 80), Box(40, 20, 60, 80), Box(75, 20, 95, 80)


def answered(*answers: str) -> list[Generation]:
    return [Generation(parse(answer), seconds=0.0) for answer in answers]


def values(scored: Scored) -> dict[str, float]:
    return {name: measure.value for name, measure in scored.measures.items()}


def counts(scored: Scored) -> dict[str, int]:
    return {name: measure.count for name, measure in scored.measures.items()}


def asked(items: Sequence[Item]) -> list[str]:
    return [item.request.argument for item in items]


class TestReferring:
    ITEMS = phrases.refer_items(WALK)

    def test_every_unique_name_is_asked_for_with_its_box(self) -> None:
        assert {item.request.argument: item.boxes for item in self.ITEMS} == {
            "the man": (LEFT_BOX,),
            "the guy": (LEFT_BOX,),
            "the man in a red shirt": (LEFT_BOX,),
            "the red shirt": (LEFT_BOX,),
        }
        assert all((it.image, it.request.task) == ("walk.png", Task.REFER) for it in self.ITEMS)

    def test_right_answers_score_1(self) -> None:
        scored = phrases.refer_score(self.ITEMS, answered(*[format_box(LEFT_BOX)] * 4))
        found = values(scored)
        assert found.pop("accuracy_at_50_if_always_whole_picture") == 0.0
        assert (found.pop("refused"), found.pop("malformed")) == (0.0, 0.0)
        assert found.pop("accuracy_at_50_small") == 0.0  # none is small: 1200 of 10000
        assert set(found.values()) == {1.0}
        assert counts(scored) == {
            "accuracy_at_50": 3,
            "accuracy_at_50_small": 0,
            "accuracy_at_50_large": 3,
            "accuracy_at_50_people": 2,
            "accuracy_at_50_joined": 1,
            "accuracy_at_50_if_always_whole_picture": 3,
            "mean_iou": 4,
            "refused": 4,
            "malformed": 4,
        }

    def test_a_refusal_is_a_miss_but_not_malformed(self) -> None:
        answers = {it: format_box(LEFT_BOX) for it in asked(self.ITEMS)}
        answers["the man"] = ABSENT_ANSWER
        answers["the man in a red shirt"] = format_box(RIGHT_BOX)
        scored = phrases.refer_score(self.ITEMS, answered(*(answers[it] for it in asked(self.ITEMS))))
        found = values(scored)
        assert found["accuracy_at_50"] == pytest.approx(2 / 3)
        assert found["accuracy_at_50_people"] == 0.5
        assert (found["accuracy_at_50_joined"], found["refused"], found["malformed"]) == (0.0, 0.25, 0.0)
        assert [quality >= 0.5 for quality in scored.qualities].count(True) == 2

    def test_small_things_are_measured_separately(self) -> None:
        photo = phrased("[a bird|1|animals|middle]")
        small = photo.model_copy(
            update={"phrases": (photo.phrases[0].model_copy(update={"boxes": ((0.4, 0.4, 0.6, 0.6),)}),)}
        )
        (item,) = phrases.refer_items(small)
        scored = phrases.refer_score([item], answered(format_box(item.boxes[0])))
        assert (counts(scored)["accuracy_at_50_small"], counts(scored)["accuracy_at_50_large"]) == (1, 0)
        assert values(scored)["accuracy_at_50_small"] == 1.0


class TestIdentifying:
    ITEMS = phrases.identify_items(WALK)

    def test_each_single_thing_is_asked_about_by_its_box(self) -> None:
        assert [(item.request.region, item.texts) for item in self.ITEMS] == [
            (LEFT_BOX, ("A man", "The guy")),
            (LEFT_BOX, ("a red shirt",)),
        ]

    @pytest.mark.parametrize(
        ("answers", "right", "others"),
        [
            (("guy", "red shirt"), 1.0, 1.0),
            (("a tall woman in blue", "shirt of a man"), 1.0, 1.0),  # of one class for a detector: people
            (("dog", "red"), 0.0, 0.0),
            (("man", "dress"), 0.5, 0.0),
            (("", "shirt"), 0.5, 1.0),
        ],
    )
    def test_the_noun_counts(self, answers: tuple[str, str], right: float, others: float) -> None:
        found = values(phrases.identify_score(self.ITEMS, answered(*answers)))
        assert (found["noun_right"], found["noun_right_but_people"]) == (right, others)


class TestGrounding:
    def test_boxes_count_where_a_noun_means_one_thing(self) -> None:
        (item,) = phrases.grounding_items(WALK)
        raw = (
            "<p>a guy</p>{<0><20><20><80>} in <p>a shirt</p>{<75><20><95><80>} with "
            "<p>dogs</p>{<40><20><60><80>} by <p>a tree</p>{<1><1><9><9>}"
        )
        scored = phrases.grounding_score([item], answered(raw))
        found = values(scored)
        assert (found["phrase_accuracy_at_50"], counts(scored)["phrase_accuracy_at_50"]) == (0.5, 2)
        assert (found["phrases_a_caption"], found["captions_with_a_box"], found["malformed"]) == (
            4.0,
            1.0,
            0.0,
        )
        assert scored.qualities == [0.5]

    def test_a_caption_without_boxes_counts_as_one(self) -> None:
        scored = phrases.grounding_score(phrases.grounding_items(WALK), answered("a man walks"))
        assert values(scored)["captions_with_a_box"] == 0.0
        assert (counts(scored)["phrase_accuracy_at_50"], scored.qualities) == (0, [0.0])

    def test_photos_without_a_single_thing_are_not_asked(self) -> None:
        assert phrases.grounding_items(phrased("[dogs|1|animals|left right]", "a dog")) == []


class TestDetection:
    ITEMS = phrases.detection_items(WALK)

    def test_the_richest_caption_and_each_thing_is_asked_for(self) -> None:
        assert [(item.request.argument, item.boxes, item.about) for item in self.ITEMS] == [
            ("A man in a red shirt walks two dogs", (LEFT_BOX, LEFT_BOX, MIDDLE_BOX, RIGHT_BOX), True),
            ("a man", (LEFT_BOX,), False),
            ("a red shirt", (LEFT_BOX,), False),
            ("two dogs", (MIDDLE_BOX, RIGHT_BOX), False),
        ]

    def test_recall_and_precision_are_of_captions_and_of_phrases(self) -> None:
        answers = (
            "<p>A man</p>{<0><20><20><80>}; <p>two dogs</p>{<40><20><60><80>}<delim>{<75><20><95><80>}",
            "<p>a man</p>{<0><20><20><80>}<delim>{<75><20><95><80>}",
            ABSENT_ANSWER,
            "<p>two dogs</p>{<40><20><60><80>}",
        )
        scored = phrases.detection_score(self.ITEMS, answered(*answers))
        assert values(scored) == pytest.approx(
            {
                "recall_at_50_caption": 3 / 4,
                "precision_at_50_caption": 1.0,
                "recall_at_50_phrase": 2 / 4,
                "precision_at_50_phrase": 2 / 3,
                "malformed": values(scored)["malformed"],
            }
        )
        assert scored.qualities == [3 / 4, 1.0, 0.0, 0.5]


class TestAbsent:
    ITEMS = tuple(item for photo in PHOTOS for item in phrases.absent_items(PHOTOS)(photo))

    def test_each_photo_has_a_present_and_an_absent_thing(self) -> None:
        assert [(item.image, bool(item.boxes)) for item in self.ITEMS] == [
            ("walk.png", True),
            ("walk.png", False),
            ("boat.png", True),
            ("boat.png", False),
        ]
        shown, missing = (self.ITEMS[index].request.argument for index in (2, 3))
        assert shown in ("the boat", "the ship")
        assert missing not in ("the boat", "the ship", "the sea")

    def test_the_items_are_always_the_same(self) -> None:
        again = [item for photo in PHOTOS for item in phrases.absent_items(PHOTOS)(photo)]
        assert asked(again) == asked(self.ITEMS)

    @pytest.mark.parametrize(
        ("present", "absent", "qualities"),
        [
            (format_box(LEFT_BOX), ABSENT_ANSWER, [1.0, 1.0]),
            (ABSENT_ANSWER, ABSENT_ANSWER, [0.0, 1.0]),
            (format_box(LEFT_BOX), format_box(LEFT_BOX), [1.0, 0.0]),
        ],
    )
    def test_refusals_of_both_are_measured(self, present: str, absent: str, qualities: list[float]) -> None:
        scored = phrases.absent_score(self.ITEMS, answered(present, absent, present, absent))
        assert values(scored) == {
            "refused_absent": float(absent == ABSENT_ANSWER),
            "refused_present": float(present == ABSENT_ANSWER),
        }
        assert scored.qualities == qualities * 2

    def test_photos_without_a_unique_name_have_no_items(self) -> None:
        assert phrases.absent_items(PHOTOS)(phrased("[dogs|1|animals|left right]")) == []


class TestPresence:
    ITEMS = tuple(item for photo in PHOTOS for item in phrases.presence_items(PHOTOS)(photo))

    def test_the_same_things_are_asked_about_in_words(self) -> None:
        names = [item.request.argument.removeprefix("the ") for item in TestAbsent.ITEMS]
        for item, name, answer in zip(self.ITEMS, names, ["yes", "no"] * 2, strict=True):
            assert item.request.task is Task.VQA
            assert item.request.argument.endswith(f" {name} in the picture?")
            assert item.texts == (answer,)

    @pytest.mark.parametrize(
        ("answers", "present", "absent", "balanced"),
        [
            (("yes", "no", "Yes.", "no"), 1.0, 1.0, 1.0),
            (("yes", "yes", "yes", "yes"), 1.0, 0.0, 0.5),
            (("yes", "no", "no", "no"), 0.5, 1.0, 0.75),
        ],
    )
    def test_always_yes_is_no_better_than_chance(
        self, answers: tuple[str, ...], present: float, absent: float, balanced: float
    ) -> None:
        found = phrases.presence_score(self.ITEMS, answered(*answers))
        assert values(found) == pytest.approx(
            {"accuracy_present": present, "accuracy_absent": absent, "balanced_accuracy": balanced}
        )
        assert counts(found) == {"accuracy_present": 2, "accuracy_absent": 2, "balanced_accuracy": 4}

    def test_both_halves_weigh_the_same_where_one_is_longer(self) -> None:
        items = self.ITEMS[:3]
        found = values(phrases.presence_score(items, answered("yes", "yes", "yes")))
        assert found["balanced_accuracy"] == pytest.approx(0.5)


class TestBlindAnswers:
    @staticmethod
    def photo(image: str, source: str, *questions: tuple[str, str]) -> Photo:
        given = [{"question": question, "answer": (answer,)} for question, answer in questions]
        return Photo.model_validate({"image": image, "source": source, "split": "val", "questions": given})

    def test_they_are_the_most_frequent_answer_to_other_questions_with_the_same_first_words(self) -> None:
        photos = (
            self.photo("a.png", "coco", ("is it day?", "yes"), ("what is it?", "cat")),
            self.photo("b.png", "coco", ("is it night?", "yes"), ("is it warm?", "no")),
            self.photo("c.png", "daquar", ("is it on the table?", "yes")),
        )
        items = [item for photo in photos for item in vqa_items(photo)]
        found = values(vqa_score(items, answered("yes", "dog", "no", "no", "yes")))
        # Of COCO's three questions that begin with "is it", two with "yes" are blind answers to each other;
        # no other question begins like another one.
        assert found["top_1"] == pytest.approx(3 / 5)
        assert (found["top_1_coco"], found["top_1_daquar"]) == (pytest.approx(2 / 4), 1.0)
        assert (found["top_1_daquar_blind"], found["top_1_blind"]) == (0.0, pytest.approx(2 / 5))
        assert found["top_1_coco_blind"] == pytest.approx(2 / 4)


class TestSets:
    class Folder:
        """Photos without files."""

        def __init__(self, photos: Sequence[Photo]) -> None:
            self.photos, self.split, self.folder = photos, "train", Path("nowhere")

        def read(self, photo: Photo) -> Any:
            raise AssertionError(photo)

    def test_photos_with_phrases_are_asked_about_them(self) -> None:
        found = photo_set(self.Folder(PHOTOS)).suites  # type: ignore[arg-type]
        of_phrases = [name for name in SUITES if name.startswith("phrase_")]
        assert [name for name in found if name.startswith("phrase_")] == of_phrases
        assert {name: len(found[name].items) for name in of_phrases} == {
            "phrase_refer": 6,
            "phrase_identify": 3,
            "phrase_grounding": 2,
            "phrase_detection": 6,
            "phrase_absent": 4,
            "phrase_presence": 4,
        }

    def test_photos_without_phrases_have_no_phrase_items(self) -> None:
        plain = phrased("a dog", objects=())
        found = photo_set(self.Folder([plain])).suites  # type: ignore[arg-type]
        assert not any(name.startswith("phrase_") for name in found)
