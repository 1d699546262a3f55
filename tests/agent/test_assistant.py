"""The assistant with a real store: saving turns, and context from earlier turns."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant.agent.assistant import CHAT_TURNS, Assistant
from assistant.agent.plan import PastStep, PastTurn, Plan, PlanContext
from assistant.agent.planner import Planner
from assistant.agent.replies import REPLIES
from assistant.storage import SessionNotFoundError, SessionStore, StorageError, StoredTurn
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box, GroundedPhrase
from assistant.vlm.pictures import Picture, open_picture
from assistant.vlm.tasks import Task, Turn
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from ..ui.fakes import ScriptedEngine
from .test_listening import Listener

DOG = GroundedPhrase("the dog", (Box(12, 30, 35, 92),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    with SessionStore.open(tmp_path / "sessions.db") as store:
        yield store


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def assistant(store: SessionStore, engine: ScriptedEngine) -> Assistant:
    return Assistant(VisionLanguageModel(engine), store)


@pytest.fixture(scope="module")
def picture() -> Picture:
    content = BytesIO()
    Image.new("RGB", (200, 100), "white").save(content, "PNG")
    return open_picture(content.getvalue())


def ask(
    assistant: Assistant, picture: Picture, message: str, session: str | None = None, **more: object
) -> StoredTurn:
    kept = assistant.store.add_image(picture.content)
    return assistant.ask(session, message, picture, kept, **more)  # type: ignore[arg-type]


def test_a_picture_may_come_in_any_form(
    assistant: Assistant, engine: ScriptedEngine, picture: Picture, tmp_path: Path
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(picture.content)
    for form in (path, str(path), picture.content, picture.image, np.asarray(picture.image)):
        assistant.ask(None, "what is it?", form)
        assert engine.requests[-1].image.tobytes() == picture.image.tobytes()


class RememberingPlanner(Planner):
    """A planner that records the contexts it receives."""

    def __init__(self) -> None:
        super().__init__(PlanWriter())
        self.contexts: list[PlanContext] = []

    def plan(self, message: str, context: PlanContext = PlanContext()) -> Plan:  # noqa: B008 (frozen)
        self.contexts.append(context)
        return super().plan(message, context)


class TestKeeping:
    def test_a_turn_is_saved_whole(self, assistant: Assistant, picture: Picture) -> None:
        given = ask(assistant, picture, "describe the picture and find the dog", region=Box(1, 2, 30, 40))
        (kept,) = assistant.store.turns(given.session_id)
        assert kept == given
        assert (kept.number, kept.user, kept.model) == (
            1,
            "describe the picture and find the dog",
            "scripted",
        )
        assert kept.answer == "A dog runs through the snow. The dog is on the left."
        assert kept.region == Box(1, 2, 30, 40)
        assert kept.image is not None
        assert (kept.image.sha256, kept.image.width) == (picture.sha256, 200)
        first, second = kept.steps
        assert (first.task, first.text, first.raw) == (
            "caption", "A dog runs through the snow.", "a dog runs through the snow",
        )  # fmt: skip
        assert (second.task, second.argument, second.phrases) == ("refer", "the dog", (DOG,))
        assert second.phrases[0].boxes[0].score == 0.83
        assert second.model == "scripted"
        assert kept.seconds >= sum(step.seconds for step in kept.steps)

    def test_a_new_session_takes_its_title_from_the_first_message(
        self, assistant: Assistant, picture: Picture
    ) -> None:
        turn = ask(assistant, picture, "where is the dog?" + " please" * 20)
        title = assistant.store.get_session(turn.session_id).title
        assert title.startswith("where is the dog?")
        assert len(title) <= 60

    def test_a_step_that_failed_is_kept_with_its_error(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        engine.answers[Task.REFER] = AssistantError("the model is tired")
        turn = ask(assistant, picture, "describe the picture and find the dog")
        assert [step.error for step in turn.steps] == [None, "the model is tired"]

    def test_free_conversation_without_a_picture_is_kept_without_one(self, assistant: Assistant) -> None:
        turn = assistant.ask(None, "hello")
        assert (turn.image, turn.region, turn.steps[0].task, turn.answer) == (
            None,
            None,
            None,
            REPLIES["hello"],
        )

    def test_an_unknown_session_is_an_error_before_the_model_runs(
        self, assistant: Assistant, engine: ScriptedEngine
    ) -> None:
        with pytest.raises(SessionNotFoundError, match="nobody"):
            assistant.ask("nobody", "hello")
        assert engine.requests == []

    def test_a_question_that_was_interrupted_leaves_nothing(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        engine.answers[Task.CAPTION] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            assistant.ask(None, "describe it", picture)
        assert assistant.store.list_sessions() == []

    def test_the_reason_for_the_plan_is_saved(self, assistant: Assistant, picture: Picture) -> None:
        turn = ask(assistant, picture, "where is the dog?")
        assert turn.why == assistant.plan("where is the dog?", []).why
        assert not turn.stopped

    def test_a_stopped_turn_is_saved_with_its_partial_answer(
        self, assistant: Assistant, picture: Picture
    ) -> None:
        turn = ask(assistant, picture, "describe the picture and find the dog", listener=Listener(patience=3))
        assert (turn.answer, turn.stopped, len(turn.steps)) == ("A dog …", True, 1)
        assert assistant.store.turns(turn.session_id) == [turn]


class TestAskingAgain:
    def test_a_new_answer_replaces_the_last_and_does_not_see_it(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        session = ask(assistant, picture, "where is the dog?").session_id
        ask(assistant, picture, "where is the cat?", session)
        again = ask(assistant, picture, "what colour is it?", session, replaces=2)
        assert engine.requests[-1].argument == "what colour is the dog?"
        first, second = assistant.store.turns(session)
        assert (first.user, second) == ("where is the dog?", again)

    def test_only_the_last_turn_is_replaced(self, assistant: Assistant) -> None:
        session = assistant.ask(None, "hello").session_id
        assistant.ask(session, "hello again")
        with pytest.raises(StorageError, match=r"turn 1 is not the last of 2.*not saved: I cannot"):
            assistant.ask(session, "good bye", replaces=1)
        assert [turn.user for turn in assistant.store.turns(session)] == ["hello", "hello again"]

    @pytest.mark.parametrize("patience", [1, 2])  # before the first step, and before its first box is whole
    def test_an_answer_stays_if_the_new_one_is_stopped_before_any_text(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture, patience: int
    ) -> None:
        turn = ask(assistant, picture, "where is the dog?")
        engine.answers[Task.REFER] = "{<12> <30><35><92>}"
        listener = Listener(patience=patience)
        with pytest.raises(AssistantError, match=r"before I had an answer\. The earlier answer is kept"):
            ask(assistant, picture, turn.user, turn.session_id, replaces=1, listener=listener)
        assert assistant.store.turns(turn.session_id) == [turn]

    def test_an_answer_stays_if_every_step_of_the_new_one_fails(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        turn = ask(assistant, picture, "where is the dog?")
        engine.answers[Task.REFER] = AssistantError("the model is tired")
        with pytest.raises(AssistantError, match=r"the model is tired\. The earlier answer is kept"):
            ask(assistant, picture, turn.user, turn.session_id, replaces=1)
        assert assistant.store.turns(turn.session_id) == [turn]

    def test_an_interruption_before_a_new_answer_is_raised_unchanged(self, assistant: Assistant) -> None:
        turn = assistant.ask(None, "hello")
        listener = Listener(fails_at="on_plan", error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            assistant.ask(turn.session_id, "hello", replaces=1, listener=listener)
        assert assistant.store.turns(turn.session_id) == [turn]


class TestContext:
    def test_a_question_refers_to_an_earlier_box(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        session = ask(assistant, picture, "where is the dog?").session_id
        turn = ask(assistant, picture, "what colour is it?", session)
        assert (turn.number, turn.answer) == (2, "Brown.")
        assert engine.requests[-1].argument == "what colour is the dog?"

    def test_the_planner_receives_earlier_turns_with_their_boxes(
        self, store: SessionStore, engine: ScriptedEngine, picture: Picture
    ) -> None:
        planner = RememberingPlanner()
        assistant = Assistant(VisionLanguageModel(engine), store, planner)
        session = ask(assistant, picture, "where is the dog?").session_id
        ask(assistant, picture, "what is this?", session, region=Box(1, 2, 3, 4))
        assert planner.contexts[0] == PlanContext(size=(200, 100))
        past = PastTurn(
            "where is the dog?", (PastStep(Task.REFER, "the dog", DOG.boxes),), "The dog is on the left."
        )
        assert planner.contexts[1] == PlanContext((past,), Box(1, 2, 3, 4), (200, 100))

    def test_a_failed_step_is_not_in_the_context(
        self, store: SessionStore, engine: ScriptedEngine, picture: Picture
    ) -> None:
        planner = RememberingPlanner()
        assistant = Assistant(VisionLanguageModel(engine), store, planner)
        engine.answers[Task.REFER] = AssistantError("the model is tired")
        session = ask(assistant, picture, "where is the dog?").session_id
        ask(assistant, picture, "what colour is it?", session)
        assert planner.contexts[1].turns[0].steps == ()

    def test_free_conversation_reads_the_last_turns(
        self, store: SessionStore, engine: ScriptedEngine
    ) -> None:
        assistant = Assistant(VisionLanguageModel(engine), store, Planner(PlanWriter(), talks=True))
        session = assistant.ask(None, "sing").session_id
        for number in range(CHAT_TURNS):
            assistant.ask(session, f"sing {number}")
        assistant.ask(session, "sing on")
        expected = tuple(Turn(f"sing {number}", "Hello.") for number in range(CHAT_TURNS))
        assert engine.requests[-1].history == expected

    def test_another_image_starts_without_earlier_boxes(
        self, store: SessionStore, engine: ScriptedEngine, picture: Picture
    ) -> None:
        planner = RememberingPlanner()
        assistant = Assistant(VisionLanguageModel(engine), store, planner)
        session = ask(assistant, picture, "where is the dog?").session_id
        content = BytesIO()
        Image.new("RGB", (50, 50), "black").save(content, "PNG")
        ask(assistant, open_picture(content.getvalue()), "what is it?", session)
        assert planner.contexts[1] == PlanContext(size=(50, 50))

    def test_sessions_are_independent(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture
    ) -> None:
        ask(assistant, picture, "where is the dog?")
        ask(assistant, picture, "what colour is it?")
        assert engine.requests[-1].argument == "what colour is it?"


class TestByHand:
    @pytest.mark.parametrize("task", Task)
    def test_an_explicit_task_overrides_the_planner(
        self, assistant: Assistant, engine: ScriptedEngine, picture: Picture, task: Task
    ) -> None:
        region = Box(1, 2, 30, 40) if task is Task.IDENTIFY else None
        turn = ask(assistant, picture, "  how many dogs? ", task=task, region=region)
        assert [step.task for step in turn.steps] == [task]
        assert [request.task for request in engine.requests] == [task]

    def test_an_explicit_task_overrides_a_typed_one(self, assistant: Assistant, picture: Picture) -> None:
        turn = ask(assistant, picture, "[caption] the dog", task=Task.REFER)
        assert [(step.task, step.argument) for step in turn.steps] == [("refer", "the dog")]

    def test_an_explicit_task_may_refer_to_an_earlier_box(
        self, assistant: Assistant, picture: Picture
    ) -> None:
        session = ask(assistant, picture, "where is the dog?").session_id
        turn = ask(assistant, picture, "what colour is it?", session, task=Task.VQA)
        assert turn.steps[0].argument == "what colour is the dog?"

    def test_a_plan_is_explained(self, assistant: Assistant, picture: Picture) -> None:
        turn = ask(assistant, picture, "find the cat", task=Task.VQA)
        assert [(step.name, step.argument) for step in turn.steps] == [("vqa", "find the cat")]
        assert turn.why == "[vqa], because you chose it"
