"""The assistant: a model, a planner, and the sessions that they are used in."""

from __future__ import annotations

from ..storage import NewTurn, SessionStore, StoredImage, StoredStep, StoredTurn
from ..vlm.grounding import Box
from ..vlm.pictures import Picture
from ..vlm.tasks import Task, Turn
from ..vlm.vision_language_model import VisionLanguageModel
from .plan import PastStep, PastTurn, Plan, PlanContext, Step
from .planner import Planner
from .turn import StepResult, TurnResult, run

# How many earlier turns the planner sees, and how many the model reads in free conversation.
CONTEXT_TURNS = 20
CHAT_TURNS = 3
# A new session is called by the beginning of its first message.
TITLE_LENGTH = 60


class Assistant:
    """Answers the turns of sessions and keeps them."""

    def __init__(
        self, model: VisionLanguageModel, store: SessionStore, planner: Planner | None = None
    ) -> None:
        self.model = model
        self.store = store
        self.planner = planner or Planner()

    def ask(
        self,
        session_id: str | None,
        message: str,
        picture: Picture | None = None,
        kept: StoredImage | None = None,
        region: Box | None = None,
        task: Task | None = None,
    ) -> tuple[StoredTurn, TurnResult]:
        """Answer one message, and return the turn as it was kept with the result as it came.

        `picture` is what the model looks at and `kept` the same picture in the store; a `task` chosen by
        hand takes the place of the plan. Without a session a new one is made once there is an answer, so
        that an interrupted question leaves none behind.

        Raises:
            SessionNotFoundError: there is no such session.
            StorageError: the turn could not be kept.
        """
        past = self.store.turns(session_id, last=CONTEXT_TURNS) if session_id else []
        plan = by_hand(task, message, region) if task else self.plan(message, past, region)
        image = picture.image if picture else None
        result = run(self.model, plan, image, _conversation(past))
        turn = NewTurn(
            message,
            result.answer,
            image=kept,
            region=region if kept else None,
            steps=tuple(_stored(self.model.name, item) for item in result.steps),
            model=self.model.name,
            seconds=result.seconds,
        )
        if session_id is None:
            session_id = self.store.create_session(message[:TITLE_LENGTH]).id
        return self.store.append_turn(session_id, turn), result

    def plan(self, message: str, past: list[StoredTurn], region: Box | None = None) -> Plan:
        """Plan a message in the light of a session's earlier turns."""
        return self.planner.plan(message, PlanContext(tuple(map(_past_turn, past)), region))


def by_hand(task: Task, message: str, region: Box | None) -> Plan:
    """Return the plan of a task that a person chose, with the message as its argument."""
    argument = "" if task in (Task.CAPTION, Task.IDENTIFY) else message.strip()
    return Plan((Step(task, argument, region),), f"you chose {task.identifier}")


def _past_turn(turn: StoredTurn) -> PastTurn:
    steps = (
        PastStep(
            Task(step.task) if step.task else None,
            step.argument,
            tuple(box for phrase in step.phrases for box in phrase.boxes),
            step.region,
        )
        for step in turn.steps
        if step.error is None
    )
    return PastTurn(turn.user, tuple(steps), turn.answer)


def _conversation(past: list[StoredTurn]) -> tuple[Turn, ...]:
    return tuple(Turn(turn.user, turn.answer) for turn in past[-CHAT_TURNS:])


def _stored(model: str, result: StepResult) -> StoredStep:
    step = result.step
    return StoredStep(
        task=step.task,
        argument=step.argument,
        region=step.region,
        text=result.text,
        raw=result.raw,
        phrases=result.phrases,
        seconds=result.seconds,
        model=model,
        error=result.error,
    )


__all__ = ["Assistant", "by_hand"]
