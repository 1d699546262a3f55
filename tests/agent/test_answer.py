"""Answer sentences agree with the boxes and with the model's confidence."""

from __future__ import annotations

import pytest

from assistant.agent.answer import UNSURE, compose, place
from assistant.agent.plan import Step
from assistant.vlm.grounding import Box, parse, with_scores
from assistant.vlm.tasks import Task

BOX = "{<0><40><20><60>}"


def answer_to(task: Task | None, raw: str, argument: str = "", score: float | None = None) -> str:
    grounded = parse(raw)
    grounded = with_scores(grounded, [score] * len(grounded.boxes))
    return compose(Step(task, argument), grounded)


def boxes(count: int) -> str:
    return "<delim>".join(f"{{<{index}><0><{index + 9}><9>}}" for index in range(count))


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ((0, 40, 20, 60), "on the left"),
        ((80, 40, 100, 60), "on the right"),
        ((40, 40, 60, 60), "in the middle"),
        ((0, 0, 100, 100), "in the middle"),
        ((40, 0, 60, 10), "at the top"),
        ((40, 90, 60, 100), "at the bottom"),
        ((0, 0, 10, 10), "at the top left"),
        ((90, 90, 100, 100), "at the bottom right"),
        ((50, 50, 50, 50), "in the middle"),
    ],
)
def test_a_place_is_that_of_the_boxs_centre(corners: tuple[int, int, int, int], words: str) -> None:
    assert place(Box(*corners)) == words


class TestReferring:
    @pytest.mark.parametrize(
        ("expression", "answer"),
        [
            ("the dog", "The dog is on the left."),
            ("a dog", "The dog is on the left."),
            ("my dog", "The dog is on the left."),
            ("dog", "The dog is on the left."),
            ("the man in red", "The man in red is on the left."),
            ("the glasses", "The glasses are on the left."),
            ("the bus", "The bus is on the left."),
            ("the two men in red", "The men in red are on the left."),
            ("the people by the bus", "The people by the bus are on the left."),
            ("the traffic light", "The traffic light is on the left."),
        ],
    )
    def test_the_verb_agrees_with_the_expression(self, expression: str, answer: str) -> None:
        assert answer_to(Task.REFER, BOX, expression, 0.9) == answer

    @pytest.mark.parametrize("score", [0.0, UNSURE - 0.001])
    def test_a_low_score_makes_the_answer_unsure(self, score: float) -> None:
        assert (
            answer_to(Task.REFER, BOX, "the dog", score) == "I am not sure, but the dog may be on the left."
        )

    @pytest.mark.parametrize("score", [None, UNSURE, 1.0])
    def test_a_high_or_missing_score_makes_it_certain(self, score: float | None) -> None:
        assert answer_to(Task.REFER, BOX, "the dog", score) == "The dog is on the left."

    @pytest.mark.parametrize("raw", ["", "nothing", "{<1><2>", "<p>dog</p>", "{<200><200><300><300>}"])
    def test_a_missing_box_means_not_seen(self, raw: str) -> None:
        assert answer_to(Task.REFER, raw, "the dog") == "I see no dog."

    def test_the_first_of_several_boxes_counts(self) -> None:
        assert (
            answer_to(Task.REFER, f"{BOX}<delim>{{<80><40><99><60>}}", "the dog") == "The dog is on the left."
        )


class TestDetecting:
    @pytest.mark.parametrize(
        ("phrase", "one", "two"),
        [
            ("person", "1 person", "2 people"),
            ("people", "1 person", "2 people"),
            ("a dog", "1 dog", "2 dogs"),
            ("the dogs", "1 dog", "2 dogs"),
            ("all dogs", "1 dog", "2 dogs"),
            ("bus", "1 bus", "2 buses"),
            ("wine glass", "1 wine glass", "2 wine glasses"),
            ("men in red", "1 man in red", "2 men in red"),
            ("children", "1 child", "2 children"),
            ("knives", "1 knife", "2 knives"),
            ("traffic light", "1 traffic light", "2 traffic lights"),
            ("sheep", "1 sheep", "2 sheep"),
            ("car in a carpark", "1 car in a carpark", "2 cars in a carpark"),
            ("scissors", "1 scissors", "2 scissors"),
        ],
    )
    def test_the_noun_agrees_with_the_number(self, phrase: str, one: str, two: str) -> None:
        assert answer_to(Task.DETECTION, f"<p>{phrase}</p> {boxes(1)}") == f"I see {one}."
        assert answer_to(Task.DETECTION, f"<p>{phrase}</p> {boxes(2)}") == f"I see {two}."

    @pytest.mark.parametrize("asked", ["everything", "all objects", "things"])
    def test_asking_for_everything_suggests_naming_a_kind(self, asked: str) -> None:
        name = "Name a kind of thing, and I will find all of them."
        assert answer_to(Task.DETECTION, "", asked) == f"I see nothing. {name}"
        assert answer_to(Task.DETECTION, f"<p>dog</p> {boxes(2)}", asked) == f"I see 2 dogs. {name}"

    def test_several_things_are_listed(self) -> None:
        raw = f"<p>dog</p> {boxes(2)} <p>cat</p> {boxes(1)} <p>person</p> {boxes(3)}"
        assert answer_to(Task.DETECTION, raw) == "I see 2 dogs, 1 cat and 3 people."
        assert answer_to(Task.DETECTION, raw.partition(" <p>person")[0]) == "I see 2 dogs and 1 cat."

    @pytest.mark.parametrize(
        "raw",
        [
            f"<p>dog</p> {BOX}<delim>{BOX}",
            f"<p>dog</p> {BOX} <p>dog</p> {BOX}",
            f"<p>a dog</p> {BOX} <p>the dog</p> {BOX}",
        ],
    )
    def test_repeated_boxes_count_once(self, raw: str) -> None:
        assert answer_to(Task.DETECTION, raw) == "I see 1 dog."

    def test_the_same_phrase_with_another_box_is_another_thing(self) -> None:
        assert answer_to(Task.DETECTION, f"<p>dog</p> {BOX} <p>dog</p> {{<9><9><9><9>}}") == "I see 2 dogs."

    def test_boxes_without_a_phrase_are_those_asked_for(self) -> None:
        assert answer_to(Task.DETECTION, boxes(2), "the dogs") == "I see 2 dogs."

    @pytest.mark.parametrize("asked", ["the dogs", "any dogs", "dogs"])
    def test_no_detection_means_not_seen(self, asked: str) -> None:
        assert answer_to(Task.DETECTION, "", asked) == "I see no dogs."


class TestNaming:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            ("dog", "This is a dog."),
            ("orange cat", "This is an orange cat."),
            ("the dog on the grass", "This is the dog on the grass."),
            ("dog on the stairs", "This is a dog on the stairs."),
            ("bus", "This is a bus."),
            ("two dogs", "These are two dogs."),
            ("scissors", "These are scissors."),
            ("people", "These are people."),
            ("", "I cannot tell."),
        ],
    )
    def test_a_region_is_named_with_its_article(self, text: str, answer: str) -> None:
        assert answer_to(Task.IDENTIFY, text) == answer


class TestSpeaking:
    @pytest.mark.parametrize("task", [Task.CAPTION, Task.VQA, Task.GROUNDING, None])
    def test_an_answer_is_a_sentence(self, task: Task | None) -> None:
        assert answer_to(task, "a dog , a cat and a bird") == "A dog, a cat and a bird."
        assert answer_to(task, "is it?") == "Is it?"
        assert answer_to(task, "") == "I have no answer to that."

    def test_markup_is_removed(self) -> None:
        assert answer_to(Task.GROUNDING, f"<p>a dog</p>{BOX} runs") == "A dog runs."
        assert answer_to(Task.CAPTION, BOX) == "I have no answer to that."
