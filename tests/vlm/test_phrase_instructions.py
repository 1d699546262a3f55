"""The samples of photos with boxed phrases."""

from __future__ import annotations

import random

from assistant.vlm.data.instructions import BUILDERS, Sample
from assistant.vlm.data.photos import Photo
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import Task

from .phrased import LEFT, MIDDLE, phrased, seen


def made(task: Task, photo: Photo, seed: int = 0) -> list[Sample]:
    return BUILDERS[task](photo, random.Random(seed))


def asked(photo: Photo, seeds: int = 100) -> set[tuple[str, str]]:
    """Return all questions about a photo, without their identifiers, with their answers."""
    samples = (sample for seed in range(seeds) for sample in made(Task.VQA, photo, seed))
    return {
        (it.turn.user.split("] ", 1)[1].removesuffix(" answer briefly"), it.turn.answer or "")
        for it in samples
    }


class TestInstructions:
    PHOTO = phrased(
        "[A man|1|people|left] wearing [a red shirt|2|clothing|left] walks [two dogs|3|animals|middle right]",
        "[A tall guy|1|people|left] outside",
        objects=(seen("car", MIDDLE), seen("person", LEFT)),
    )

    def test_human_names_are_referring_expressions(self) -> None:
        found = {(it.turn.user.split("the ")[-1], it.turn.answer) for it in made(Task.REFER, self.PHOTO)}
        assert {answer for _, answer in found} == {format_box(Box(0, 20, 20, 80))}
        assert len(made(Task.REFER, self.PHOTO)) == 4  # man, tall guy, red shirt, man wearing a red shirt
        assert not any("car" in words for words, _ in found)

    def test_without_a_unique_name_detections_are_referred_to(self) -> None:
        photo = phrased("[a man|1|people|left] by [a man|2|people|right]", objects=(seen("car", MIDDLE),))
        (only,) = made(Task.REFER, photo)
        assert only.turn.answer == format_box(Box(40, 20, 60, 80))

    def test_a_box_gets_a_human_name(self) -> None:
        answers = {
            (it.turn.answer, it.turn.user.split("{")[1])
            for seed in range(20)
            for it in made(Task.IDENTIFY, self.PHOTO, seed)
        }
        assert {answer for answer, _ in answers} == {"man", "tall guy", "red shirt"}

    def test_phrases_are_found_with_all_of_their_boxes_and_captions_parsed(self) -> None:
        found = [parse(it.turn.answer or "").phrases for it in made(Task.DETECTION, self.PHOTO)]
        assert [[(it.text, len(it.boxes)) for it in phrases] for phrases in found if len(phrases) > 1] == [
            [("A man", 1), ("a red shirt", 1), ("two dogs", 2)]
        ]
        assert ("dogs", 2) in {(it.text, len(it.boxes)) for phrases in found for it in phrases}

    def test_captions_are_grounded_by_human_boxes_not_detections(self) -> None:
        answers = [it.turn.answer for it in made(Task.GROUNDING, self.PHOTO)]
        assert answers == [
            "<p>A man</p>{<0><20><20><80>} wearing <p>a red shirt</p>{<0><20><20><80>} walks "
            "<p>two dogs</p>{<40><20><60><80>}<delim>{<75><20><95><80>}",
            "<p>A tall guy</p>{<0><20><20><80>} outside",
        ]

    def test_phrases_give_questions(self) -> None:
        found = asked(self.PHOTO)
        assert ("what color is the shirt?", "red") in found
        assert ("what is the man wearing?", "red shirt") in found
        assert ("how many dogs are there?", "2") in found
        assert ("is there a tall guy?", "yes") in found
        assert not any("car" in question for question, _ in found)

    def test_uncertain_phrases_give_no_questions(self) -> None:
        photo = phrased(
            "[a man|1|people|left] wearing [a red shirt|2|clothing|left] by [a man|3|people|right]"
            " in [a red and blue shirt|4|clothing|right] and [three dogs|5|animals|middle right]"
        )
        questions = {question for question, _ in asked(photo)}
        assert "what is the man wearing?" not in questions
        assert not any("color" in question and "and blue" in question for question in questions)
        assert not any("dogs" in question for question in questions)
