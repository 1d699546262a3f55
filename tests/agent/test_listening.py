"""Following a running turn, and stopping it early."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.agent.assistant import Assistant
from assistant.agent.listening import GuardedListener, TurnListener
from assistant.agent.plan import Plan, Step
from assistant.agent.planner import Planner
from assistant.agent.turn import run
from assistant.storage import NewTurn, SessionStore, StoredStep
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from ..ui.fakes import Answer, ScriptedEngine
from .test_turn import picture


class Listener:
    """Records its events, wants to stop after `patience` of them, and may fail at one."""

    def __init__(
        self, patience: int = 1000, fails_at: str | None = None, error: BaseException | None = None
    ) -> None:
        self.events: list[tuple[str, object]] = []
        self._patience = patience
        self._fails_at = fails_at
        self._error = error

    def on_plan(self, plan: Plan) -> None:
        self._note("on_plan", plan)

    def on_text(self, step: int, raw: str) -> None:
        self._note("on_text", (step, raw))

    def on_step(self, step: int, result: StoredStep) -> None:
        self._note("on_step", (step, result))

    def should_stop(self) -> bool:
        if self._fails_at == "should_stop" and self._error:
            raise self._error
        return len(self.events) >= self._patience

    def _note(self, kind: str, value: object) -> None:
        self.events.append((kind, value))
        if kind == self._fails_at and self._error:
            raise self._error


def listen(listener: TurnListener, *steps: Step, **answers: Answer) -> tuple[NewTurn, ScriptedEngine]:
    engine = ScriptedEngine({Task(name): answer for name, answer in answers.items()})
    plan = Plan(steps, "as told")
    return run(VisionLanguageModel(engine), plan, picture(), listener=listener), engine


class TestFollowing:
    def test_plan_text_and_results_arrive_in_order(self) -> None:
        listener = Listener()
        steps = (Step(Task.CAPTION), Step(Task.REFER, "the dog"))
        result, _ = listen(listener, *steps, caption="a dog runs")
        assert listener.events == [
            ("on_plan", Plan(steps, "as told")),
            ("on_text", (0, "a")),
            ("on_text", (0, "a dog")),
            ("on_text", (0, "a dog runs")),
            ("on_step", (0, result.steps[0])),
            ("on_text", (1, "{<12><30><35><92>}")),
            ("on_step", (1, result.steps[1])),
        ]

    def test_listening_changes_nothing(self) -> None:
        steps = (Step(Task.CAPTION), Step(Task.DETECTION, "dogs"), Step(Task.VQA, " "))
        with_listener, _ = listen(Listener(), *steps)
        alone = run(VisionLanguageModel(ScriptedEngine()), Plan(steps, "as told"), picture())
        assert with_listener.answer == alone.answer
        assert [step.phrases for step in with_listener.steps] == [step.phrases for step in alone.steps]
        assert not with_listener.stopped


class TestStopping:
    def test_the_running_step_ends_with_its_partial_answer_and_later_ones_do_not_run(self) -> None:
        result, engine = listen(
            Listener(patience=3), Step(Task.CAPTION), Step(Task.REFER, "the dog"), caption="a dog runs off"
        )
        assert (result.answer, result.stopped) == ("A dog …", True)
        assert [step.stopped for step in result.steps] == [True]
        assert len(engine.requests) == 1

    def test_a_stop_between_two_steps_keeps_the_first(self) -> None:
        listener = Listener(patience=5)  # the plan, three words, the first result
        result, engine = listen(listener, Step(Task.CAPTION), Step(Task.VQA, "what?"), caption="a dog runs")
        assert (result.answer, result.stopped) == ("A dog runs.", True)
        assert [step.stopped for step in result.steps] == [False]
        assert len(engine.requests) == 1

    def test_a_stop_before_any_text_says_so(self) -> None:
        result, engine = listen(Listener(patience=1), Step(Task.CAPTION))
        assert (result.answer, result.stopped) == ("You stopped me before I had an answer.", True)
        assert (result.steps, engine.requests) == ((), [])

    def test_a_stop_after_the_last_step_does_not_count(self) -> None:
        listener = Listener(patience=4)  # the plan, two words, the result
        result, _ = listen(listener, Step(Task.CAPTION), caption="a dog")
        assert (result.answer, result.stopped) == ("A dog.", False)

    @pytest.mark.parametrize("step", [Step(Task.REFER, "the dog"), Step(Task.DETECTION, "dogs")])
    def test_a_thing_not_found_yet_is_not_reported_missing(self, step: Step) -> None:
        result, _ = listen(Listener(patience=2), step, refer="{<12> <30>}", detection="<p>dogs </p>{<1>}")
        assert result.stopped
        assert result.answer == "You stopped me before I had an answer."

    def test_boxes_written_before_the_stop_stay(self) -> None:
        raw = "<p>dogs</p>{<1><2><3><4>} <p>cats</p>{<5><6><7><8>}"
        result, _ = listen(Listener(patience=2), Step(Task.DETECTION, "dogs and cats"), detection=raw)
        assert [phrase.boxes for phrase in result.phrases] == [(Box(1, 2, 3, 4),)]
        assert result.answer == "I see 1 dog."


class TestFailing:
    @pytest.fixture
    def assistant(self, tmp_path: Path) -> Assistant:
        store = SessionStore.open(tmp_path / "sessions.db")
        planner = Planner(PlanWriter(), talks=True)
        return Assistant(VisionLanguageModel(ScriptedEngine()), store, planner)

    @pytest.mark.parametrize("moment", ["on_plan", "on_text", "on_step", "should_stop"])
    def test_a_listener_that_fails_does_not_lose_the_turn(self, assistant: Assistant, moment: str) -> None:
        listener = Listener(fails_at=moment, error=RuntimeError("the page is gone"))
        turn = assistant.ask(None, "sing", listener=listener)
        assert assistant.store.turns(turn.session_id) == [turn]
        assert (turn.answer, turn.stopped) == ("Hello.", False)
        assert [kind for kind, _ in listener.events].count(moment) <= 1  # it is told nothing more

    @pytest.mark.parametrize("moment", ["on_plan", "on_text", "on_step", "should_stop"])
    def test_an_interruption_stops_the_turn_and_is_raised_after_saving(
        self, assistant: Assistant, moment: str
    ) -> None:
        listener = Listener(fails_at=moment, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            assistant.ask(None, "sing", listener=listener)
        (session,) = assistant.store.list_sessions()
        (turn,) = assistant.store.turns(session.id)
        assert turn.stopped == (moment in ("on_plan", "should_stop"))

    def test_a_guard_forwards_the_wish_to_stop(self) -> None:
        assert not GuardedListener(Listener(patience=1)).should_stop()
        assert GuardedListener(Listener(patience=0)).should_stop()
