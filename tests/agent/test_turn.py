"""Running a plan: requests to the model, its answers, and failures."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from assistant.agent.plan import Plan, Step
from assistant.agent.turn import STEP_LIMIT, run
from assistant.storage import NewTurn
from assistant.vlm.answers import Request
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box, GroundedPhrase
from assistant.vlm.planning import MOST_STEPS
from assistant.vlm.regions import crop, crop_window
from assistant.vlm.tasks import Task, Turn
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import Answer, ScriptedEngine

REGION = Box(10, 20, 30, 60)


def picture(width: int = 200, height: int = 100) -> Image.Image:
    """An image whose red channel is the column and green the row."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.new("L", (width, height))))


def result(
    *steps: Step,
    image: Image.Image | None = None,
    history: tuple[Turn, ...] = (),
    score: float | None = 0.83,
    **answers: Answer,
) -> tuple[NewTurn, list[Request]]:
    """Run steps on an image; `answers` are keyed by task name, `chat` for free conversation."""
    named = {None if name == "chat" else Task(name): answer for name, answer in answers.items()}
    engine = ScriptedEngine(named, score)
    found = run(VisionLanguageModel(engine), Plan(steps, "as told"), image or picture(), history)
    return found, engine.requests


class TestSteps:
    def test_steps_are_run_in_order_and_answered_together(self) -> None:
        found, requests = result(Step(Task.CAPTION), Step(Task.REFER, "the dog"))
        assert [request.task for request in requests] == [Task.CAPTION, Task.REFER]
        assert found.answer == "A dog runs through the snow. The dog is on the left."
        assert found.phrases == (GroundedPhrase("the dog", (Box(12, 30, 35, 92),)),)

    def test_the_model_learns_what_a_person_typed_behind_an_identifier(self) -> None:
        region = Box(1, 2, 3, 4)
        steps = (Step(Task.CAPTION, typed="in a line"), Step(Task.IDENTIFY, "", region, typed="who is it"))
        _, requests = result(*steps)
        assert [request.typed for request in requests] == ["in a line", "who is it"]

    def test_a_short_answer_among_several_repeats_its_question(self) -> None:
        found, _ = result(Step(Task.REFER, "the dog"), Step(Task.VQA, "what colour is the dog?"))
        assert found.answer == "The dog is on the left. What colour is the dog? Brown."
        alone, _ = result(Step(Task.VQA, "what colour is the dog?"))
        assert alone.answer == "Brown."

    def test_the_same_sentence_is_said_once(self) -> None:
        found, _ = result(Step(Task.CAPTION), Step(Task.CAPTION))
        assert found.answer == "A dog runs through the snow."
        assert len(found.steps) == 2

    def test_the_raw_output_is_stored_with_the_sentence(self) -> None:
        found, _ = result(Step(Task.REFER, "the dog"))
        assert found.steps[0].raw == "{<12><30><35><92>}"
        assert found.steps[0].error is None
        assert 0 <= found.steps[0].seconds <= found.seconds

    @pytest.mark.parametrize("error", [AssistantError("the disk is full"), ValueError("the disk is full")])
    def test_a_failed_step_is_reported_and_the_others_keep_their_results(self, error: Exception) -> None:
        found, _ = result(Step(Task.CAPTION), Step(Task.REFER, "the dog"), Step(None, "hi"), refer=error)
        assert [step.error for step in found.steps] == [None, "the disk is full", None]
        assert found.answer == (
            "A dog runs through the snow. I could not do [refer]: the disk is full. Hello."
        )
        assert found.phrases == ()

    def test_an_error_in_the_program_is_not_hidden(self) -> None:
        with pytest.raises(ZeroDivisionError):
            result(Step(Task.CAPTION), caption=ZeroDivisionError())

    def test_a_question_without_words_fails_alone(self) -> None:
        found, _ = result(Step(Task.VQA, " "), Step(Task.CAPTION))
        assert found.steps[0].error == "[vqa] needs a question or a phrase"
        assert found.steps[1].error is None

    def test_steps_beyond_the_limit_are_reported_and_not_run(self) -> None:
        steps = [Step(Task.REFER, f"dog {number}") for number in range(STEP_LIMIT + 2)]
        found, requests = result(*steps)
        assert len(requests) == len(found.steps) == STEP_LIMIT
        assert found.answer.endswith(
            "is on the left. I do at most 8 things at once: ask me again for the rest."
        )
        assert STEP_LIMIT < MOST_STEPS
        assert not found.stopped


class TestEarlierSteps:
    FIND = Step(Task.REFER, "the dog")
    ASK = Step(Task.VQA, "what colour is the dog?", region_from=0)

    def test_a_question_about_what_was_just_found_is_asked_over_that_part(self) -> None:
        found, (_, request) = result(self.FIND, self.ASK)
        assert request.image is not None
        assert request.image.size == (crop(picture(), Box(12, 30, 35, 92))).size
        assert found.steps[1].region == Box(12, 30, 35, 92)
        assert self.ASK.region is None

    @pytest.mark.parametrize("answer", ["nothing", AssistantError("no"), "{<1><2><3><4>}<delim>"])
    def test_what_was_not_found_is_looked_for_in_the_whole_picture(self, answer: Answer) -> None:
        found, requests = result(self.FIND, self.ASK, refer=answer, score=0.1)
        image = requests[-1].image
        assert image is not None
        assert image.size == picture().size
        assert found.steps[1].region is None
        assert found.steps[1].error is None


class TestPhrases:
    def test_boxes_without_a_phrase_are_named_after_what_was_asked(self) -> None:
        found, _ = result(Step(Task.DETECTION, "dogs"), detection="{<1><2><3><4>}")
        assert found.phrases == (GroundedPhrase("dogs", (Box(1, 2, 3, 4),)),)

    def test_one_thing_asked_for_is_one_box(self) -> None:
        found, _ = result(Step(Task.REFER, "the dog"), refer="{<1><2><3><4>}<delim>{<5><6><7><8>}")
        assert found.phrases == (GroundedPhrase("the dog", (Box(1, 2, 3, 4),)),)

    def test_what_the_model_repeats_is_kept_once(self) -> None:
        raw = "<p>dog</p> {<1><2><3><4>}<delim>{<1><2><3><4>} <p>dog</p> {<1><2><3><4>}<delim>{<5><6><7><8>}"
        found, _ = result(Step(Task.DETECTION, "dogs"), detection=raw)
        assert [(phrase.text, phrase.boxes) for phrase in found.phrases] == [
            ("dog", (Box(1, 2, 3, 4),)),
            ("dog", (Box(5, 6, 7, 8),)),
        ]
        assert found.answer == "I see 2 dogs."

    def test_scores_come_through(self) -> None:
        found, _ = result(Step(Task.DETECTION, "dogs"))
        assert [box.score for phrase in found.phrases for box in phrase.boxes] == [0.83, 0.83]

    def test_a_region_that_was_named_is_drawn_with_its_name(self) -> None:
        found, _ = result(Step(Task.IDENTIFY, "", REGION))
        assert found.phrases == (GroundedPhrase("brown dog", (REGION,)),)
        assert found.answer == "This is a brown dog."


class TestRegions:
    def test_naming_without_a_region_says_what_to_do(self) -> None:
        found, requests = result(Step(Task.IDENTIFY))
        assert "no region is marked" in str(found.steps[0].error)
        assert requests == []

    def test_naming_gives_the_model_the_whole_picture_and_the_box(self) -> None:
        _, (request,) = result(Step(Task.IDENTIFY, "what is this", REGION))
        assert request.region == REGION
        assert request.image is not None
        assert request.image.size == (200, 100)

    @pytest.mark.parametrize("task", [Task.VQA, Task.CAPTION, None])
    def test_a_question_about_a_region_is_asked_over_that_part_with_a_margin(self, task: Task | None) -> None:
        _, (request,) = result(Step(task, "what colour is it?", REGION))
        assert request.region is None
        assert request.image is not None
        # 20..60 of 200 columns and 20..60 of 100 rows, and 15 % of that round it.
        assert request.image.size == (52, 52)
        assert request.image.getpixel((0, 0)) == picture().getpixel((14, 14))

    @pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (640, 480)])
    @pytest.mark.parametrize(
        "region",
        [
            Box(0, 0, 100, 100),
            Box(0, 0, 0, 0),
            Box(100, 100, 100, 100),
            Box(50, 50, 50, 50),
            Box(99, 0, 100, 1),
        ],
    )
    def test_a_part_is_never_empty_and_never_reaches_beyond_the_picture(
        self, size: tuple[int, int], region: Box
    ) -> None:
        image = Image.new("RGB", size, "white")
        part = image.crop(crop_window(image, region))
        assert 1 <= part.width <= image.width
        assert 1 <= part.height <= image.height
        assert part.getextrema() == ((255, 255),) * 3  # what lies outside of a picture would be black

    def test_the_whole_picture_is_its_own_part(self) -> None:
        assert crop_window(picture(), Box(0, 0, 100, 100)) == (0, 0, 200, 100)

    @pytest.mark.parametrize("task", [Task.REFER, Task.DETECTION, Task.GROUNDING])
    def test_boxes_found_in_a_part_are_boxes_of_the_whole_picture(self, task: Task) -> None:
        region = Box(50, 0, 100, 100)  # with its margin 85..200 of 200 columns
        answers: Any = {task.value: "<p>dog</p> {<0><0><100><100>}"}
        found, (request,) = result(Step(task, "the dog", region), **answers)
        assert request.image is not None
        assert request.image.size == (115, 100)
        assert [box for phrase in found.phrases for box in phrase.boxes] == [Box(42, 0, 100, 100)]
        assert found.phrases[0].boxes[0].score == 0.83

    def test_the_callers_picture_stays_as_it_is(self) -> None:
        image = picture()
        result(Step(Task.VQA, "what?", REGION), Step(Task.REFER, "the dog"), image=image)
        assert image.tobytes() == picture().tobytes()


class TestConversation:
    HISTORY = (Turn("hello", "Hi."),)

    def test_free_conversation_reads_the_earlier_turns_and_tasks_do_not(self) -> None:
        _, requests = result(
            Step(None, "how are you?"),
            Step(Task.VQA, "what?"),
            Step(Task.CAPTION, "", REGION),
            history=self.HISTORY,
        )
        assert [request.history for request in requests] == [self.HISTORY, (), ()]

    def test_without_a_picture_one_can_talk_but_not_look(self) -> None:
        engine = ScriptedEngine()
        plan = Plan((Step(Task.VQA, "what?"), Step(None, "hello")), "as told")
        found = run(VisionLanguageModel(engine), plan, None)
        assert found.answer == "I could not do [vqa]: there is no image: give one. Hello."
        assert [request.image for request in engine.requests] == [None]
