"""Names of absent things: never one that the photo hints at, and the samples that refuse them."""

from __future__ import annotations

import random

import pytest

from assistant.vlm.data.absent import PLAIN_CLASSES, AbsentNames
from assistant.vlm.data.instructions import ABSENT_TASKS, absent_sample
from assistant.vlm.data.photos import Photo
from assistant.vlm.data.records import TaskTurn
from assistant.vlm.data.referents import may_show
from assistant.vlm.evaluation.items import is_malformed
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import ABSENT_ANSWER, Task, split_identifier

from .phrased import LEFT, phrased, seen

OTHERS = (
    phrased("[a red car|1|vehicles|left] by [two trucks|2|vehicles|right]"),
    phrased("[A trumpet|1|instruments|left] and [a hat|2|clothing|left] on [a street|3|scene|right]"),
    phrased("[some sheep|1|animals|left right] near [a bench|2|other|middle]"),
)


def drawn(photo: Photo, others: tuple[Photo, ...] = (), count: int = 300) -> list[str | None]:
    random_ = random.Random(0)
    return [AbsentNames(others).draw(photo, random_) for _ in range(count)]


class TestHints:
    @pytest.mark.parametrize(
        "photo",
        [
            pytest.param(phrased("a dog runs"), id="in a caption"),
            pytest.param(phrased("DOGS run"), id="several"),
            pytest.param(phrased("two puppies run"), id="another word for it"),
            pytest.param(phrased("it runs", "[the puppy|1|animals]"), id="a phrase"),
            pytest.param(phrased("it runs", objects=(seen("dog", LEFT, 0.1),)), id="a faint box"),
        ],
    )
    def test_a_hint_at_a_thing_is_found(self, photo: Photo) -> None:
        assert may_show(photo, "dog")
        assert may_show(photo, "brown dog in the snow")
        assert not may_show(photo, "cat")

    def test_a_class_of_two_words_is_seen_by_its_box(self) -> None:
        photo = phrased("a child sleeps", objects=(seen("teddy bear", LEFT),))
        assert may_show(photo, "teddy bear")
        assert may_show(photo, "bear")
        assert "teddy bear" not in drawn(photo)

    @pytest.mark.parametrize("caption", ["two boys on a beach", "a woman", "people", "children", "a skier"])
    def test_people_go_by_many_names(self, caption: str) -> None:
        assert may_show(phrased(caption), "person")


class TestDrawing:
    def test_what_a_caption_mentions_is_never_called_absent(self) -> None:
        found = drawn(phrased("puppies, a kitten and horses"), OTHERS)
        assert len(set(found)) > 10
        assert not {"dog", "cat", "horse", None} & set(found)

    def test_people_are_denied_where_there_are_none_and_nowhere_else(self) -> None:
        empty, peopled = drawn(phrased("an empty beach")), drawn(phrased("two boys on a beach"))
        assert 60 < empty.count("person") < 120
        assert "person" not in peopled
        assert None not in peopled

    def test_names_come_from_other_photos(self) -> None:
        found = set(drawn(phrased("two boys on a beach"), OTHERS))
        assert {"red car", "trumpet", "bench"} <= found
        assert found <= {"red car", "trumpet", "bench", *PLAIN_CLASSES}

    def test_unmentionable_and_plural_names_are_skipped(self) -> None:
        found = set(drawn(phrased("two boys on a beach"), OTHERS))
        assert not {"hat", "street", "trucks", "some sheep"} & found

    def test_a_names_adjectives_do_not_make_it_absent(self) -> None:
        assert "red car" not in drawn(phrased("boys by a blue car"), OTHERS)

    def test_uncaptioned_photos_deny_only_what_the_detector_rarely_misses(self) -> None:
        found = set(drawn(phrased(objects=(seen("cat", LEFT),)), OTHERS))
        assert found == set(PLAIN_CLASSES) - {"cat"}

    def test_a_photo_without_annotations_denies_nothing(self) -> None:
        assert set(drawn(phrased(), OTHERS)) == {None}

    def test_a_photo_that_shows_everything_denies_nothing(self) -> None:
        crowded = phrased(objects=tuple(seen(label, LEFT) for label in PLAIN_CLASSES))
        assert set(drawn(crowded, OTHERS)) == {None}


class TestDenying:
    @pytest.mark.parametrize("task", ABSENT_TASKS)
    def test_each_task_refuses_in_its_own_format(self, task: Task) -> None:
        for seed in range(20):
            sample = absent_sample(task, "old car", random.Random(seed))
            asked, words = split_identifier(sample.turn.user)
            assert (sample.task, asked) == (task, task)
            assert "old car" in words
            assert sample.turn.answer == ("no" if task is Task.VQA else ABSENT_ANSWER)
            assert not is_malformed(task, sample.turn.answer)

    def test_the_question_has_the_right_article(self) -> None:
        asked = {absent_sample(Task.VQA, "old car", random.Random(seed)).turn.user for seed in range(100)}
        assert {words.removeprefix("[vqa] ").removesuffix(" answer briefly") for words in asked} == {
            "is there an old car in the picture?",
            "is there an old car?",
            "do you see an old car?",
            "can you see an old car here?",
        }

    @pytest.mark.parametrize("task", [Task.REFER, Task.DETECTION])
    def test_the_answer_is_well_formed_and_holds_no_box(self, task: Task) -> None:
        assert not is_malformed(task, ABSENT_ANSWER)
        assert is_malformed(task, f"{ABSENT_ANSWER} {format_box(Box(1, 2, 3, 4))}")
        assert is_malformed(task, "no")
        grounded = parse(ABSENT_ANSWER)
        assert (grounded.text, grounded.boxes, grounded.phrases) == (ABSENT_ANSWER, (), ())

    def test_refer_needs_a_box_or_a_refusal(self) -> None:
        TaskTurn(Task.REFER, "the dog", ABSENT_ANSWER)
        with pytest.raises(ValueError, match="with one box or 'not in the image', not 'nowhere'"):
            TaskTurn(Task.REFER, "the dog", "nowhere")
