"""The model checks its own boxes."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest

from assistant.agent.assistant import Assistant
from assistant.agent.plan import Plan, Step
from assistant.agent.turn import run
from assistant.agent.verification import MOST_BOXES, same_thing
from assistant.storage import SessionStore, StoredStep, Verification
from assistant.vlm.answers import Request
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import Answer, ScriptedEngine
from .test_listening import Listener
from .test_turn import picture

DOG = Step(Task.REFER, "the dog")
THIS = Step(Task.IDENTIFY, "what is this?", Box(10, 30, 35, 90))


def verified(
    step: Step, listener: Listener | None = None, score: float = 0.83, **answers: Answer
) -> tuple[StoredStep, list[Request]]:
    engine = ScriptedEngine({Task(name): answer for name, answer in answers.items()}, score)
    result = run(VisionLanguageModel(engine), Plan((step,), ""), picture(), (), listener, verify=True)
    return result.steps[0], engine.requests


class TestFound:
    def test_a_check_agrees_if_it_names_the_thing_asked_for(self) -> None:
        result, requests = verified(DOG, identify="a brown dog")
        assert result.verifications == (Verification(True, "a brown dog"),)
        assert result.text == "The dog is on the left."
        assert [(request.task, request.region) for request in requests] == [
            (Task.REFER, None),
            (Task.IDENTIFY, Box(12, 30, 35, 92)),
        ]

    def test_a_box_that_the_check_contradicts_is_marked_and_doubted(self) -> None:
        result, _ = verified(DOG, identify="a grey cat")
        assert result.verifications == (Verification(False, "a grey cat"),)
        assert result.text == (
            "The dog is on the left. "
            "(When checked, the model disagrees with itself: it calls this “a grey cat”.)"
        )
        assert result.phrases[0].boxes == (Box(12, 30, 35, 92),)  # it stays, marked

    def test_an_unsure_box_that_the_check_contradicts_is_retracted(self) -> None:
        result, _ = verified(DOG, identify="a grey cat", score=0.1)
        guess = "my only guess is uncertain, and when checked I call it “a grey cat”"
        assert result.text == f"I see no dog: {guess}."
        assert (result.phrases, result.verifications) == ((), ())
        assert result.raw == "{<12><30><35><92>}"

    def test_an_unsure_box_that_the_check_confirms_stays_in_doubt(self) -> None:
        result, _ = verified(DOG, identify="a dog", score=0.1)
        assert result.text == "I am not sure, but the dog may be on the left."

    def test_what_is_no_find_is_not_kept_drawn_or_pointed_back_at(self, tmp_path: Path) -> None:
        engine = ScriptedEngine({Task.IDENTIFY: "a grey cat"}, 0.1)
        with SessionStore.open(tmp_path / "sessions.db") as store:
            content = BytesIO()
            picture().save(content, "PNG")
            kept, seen = store.add_image(content.getvalue()), open_picture(content.getvalue())
            assistant = Assistant(VisionLanguageModel(engine), store)
            turn = assistant.ask(None, "where is the dog?", seen, kept, verify=True)
            assert turn.phrases == ()
            assert [step.phrases for step in store.turns(turn.session_id)[0].steps] == [()]
            assert json.loads(store.export(turn.session_id, "coco"))["annotations"] == []
            assistant.ask(turn.session_id, "what is it?", seen, kept)
        assert engine.requests[-1].region is None

    def test_nothing_is_asked_over_a_box_that_the_model_doubts(self) -> None:
        engine = ScriptedEngine({Task.IDENTIFY: "a grey cat"})
        steps = (DOG, Step(Task.VQA, "what colour is the dog?", region_from=0))
        result = run(VisionLanguageModel(engine), Plan(steps, ""), picture(), verify=True)
        assert result.steps[1].region is None

    def test_each_box_of_several_is_asked_about_in_one_batch(self) -> None:
        def name(request: Request) -> str:
            return "dog" if request.region == Box(0, 10, 20, 30) else "tree"

        result, requests = verified(Step(Task.DETECTION, "dogs"), identify=name)
        assert [item and item.agrees for item in result.verifications] == [True, False]
        assert result.text.endswith("(When checked, the model disagrees with itself about 1 of the 2 boxes.)")
        assert len(requests) == 3

    def test_beyond_the_limit_boxes_are_not_asked_about(self) -> None:
        boxes = "<delim>".join(f"{{<{n}><0><{n + 9}><9>}}" for n in range(MOST_BOXES + 2))
        result, requests = verified(Step(Task.DETECTION, "dogs"), detection=f"<p>dogs</p>{boxes}")
        assert [item is None for item in result.verifications] == [False] * MOST_BOXES + [True] * 2
        assert len(requests) == 1 + MOST_BOXES

    @pytest.mark.parametrize("answer", ["", AssistantError("the model is tired"), ValueError("no room")])
    def test_a_failed_check_leaves_the_answer_as_it_was(self, answer: Answer) -> None:
        result, _ = verified(DOG, identify=answer)
        assert (result.verifications, result.error, result.text) == ((), None, "The dog is on the left.")

    @pytest.mark.parametrize(
        ("asked", "name"),
        [
            ("the leftmost", "a dog"),
            ("the one on the left", "a dog"),
            ("the animal", "a dog"),
            ("the vehicle", "a red bus"),
            ("something", "a dog"),
            ("le chien", "a dog"),
            ("the dog", "an animal"),
            ("the dog", "the one on the left"),
            ("the dog", "brown"),
        ],
    )
    @pytest.mark.parametrize("score", [0.1, 0.83])
    def test_names_that_cannot_be_compared_are_no_opinion(self, asked: str, name: str, score: float) -> None:
        result, requests = verified(Step(Task.REFER, asked), identify=name, score=score)
        assert len(requests) == 2
        assert result.verifications == ()
        assert "I see no" not in result.text
        assert "disagrees" not in result.text

    @pytest.mark.parametrize("name", ["the snow", "a teapot", "a boy"])
    def test_a_name_of_another_kind_disagrees(self, name: str) -> None:
        result, _ = verified(DOG, identify=name)
        assert result.verifications == (Verification(False, name),)

    def test_what_is_not_known_agrees_where_it_is_named_the_same(self) -> None:
        result, _ = verified(Step(Task.REFER, "the lawn mower"), identify="a green lawn mower")
        assert result.verifications == (Verification(True, "a green lawn mower"),)


class TestStopped:
    def test_a_stopped_check_gives_no_opinion(self) -> None:
        asked: list[Request] = []

        class Impatient(Listener):
            def should_stop(self) -> bool:
                return bool(asked)

        def name(request: Request) -> str:
            asked.append(request)
            return "a grey cat"

        listener = Impatient()
        result, _ = verified(DOG, listener, identify=name)
        assert len(asked) == 1
        assert (result.text, result.stopped) == ("The dog is on the left.", False)
        assert (result.phrases[0].boxes, result.verifications) == ((Box(12, 30, 35, 92),), ())

    def test_the_text_of_a_check_is_not_sent_to_the_listener(self) -> None:
        listener = Listener()
        verified(DOG, listener, identify="a grey cat")
        assert [value for kind, value in listener.events if kind == "on_text"] == [(0, "{<12><30><35><92>}")]


class TestNamed:
    def test_a_name_agrees_where_it_leads_back_to_the_region(self) -> None:
        result, requests = verified(THIS)
        assert result.verifications == (Verification(True, "on the left"),)
        assert [(request.task, request.argument) for request in requests[1:]] == [(Task.REFER, "brown dog")]

    @pytest.mark.parametrize(
        ("box", "opinion"), [("{<60><30><95><92>}", "on the right"), ("no idea", "nowhere")]
    )
    def test_a_name_that_refers_elsewhere_is_marked_and_doubted(self, box: str, opinion: str) -> None:
        result, _ = verified(THIS, refer=box)
        assert result.verifications == (Verification(False, opinion),)
        assert result.text == (
            f"This is a brown dog. (When checked, the model disagrees with itself: it finds that {opinion}.)"
        )


class TestNotAsked:
    @pytest.mark.parametrize("step", [Step(Task.CAPTION), Step(Task.VQA, "what?"), Step(None, "hello")])
    def test_an_answer_without_boxes_costs_nothing_more(self, step: Step) -> None:
        result, requests = verified(step)
        assert (result.verifications, len(requests)) == ((), 1)

    def test_an_answer_that_was_stopped_is_not_asked_about(self) -> None:
        raw = "<p>dogs</p>{<1><2><3><4>} <p>cats</p>{<5><6><7><8>}"
        result, requests = verified(Step(Task.DETECTION, "dogs"), Listener(patience=2), detection=raw)
        assert result.stopped
        assert (result.verifications, len(requests)) == ((), 1)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("the dog", "a brown dog", True),
        ("dogs", "a dog lying in the snow", True),
        ("the man in red", "a person", True),
        ("the man", "boy in a blue shirt", True),
        ("the woman", "a man", False),
        ("the child", "a girl", True),
        ("the sofa", "a grey couch", True),
        ("the puppy", "a dog", True),
        ("the traffic light", "a red light", True),
        ("the dog", "a cat", False),
        ("the dog", "the man with a dog", False),
        ("the dog", "", False),
        ("the lawn mower", "a teapot", False),
    ],
)
def test_phrases_agree_by_their_nouns(first: str, second: str, same: bool) -> None:
    assert same_thing(first, second) == same
    assert same_thing(second, first) == same
