"""The assistant: plans each message, runs the plan on the model, and saves the turn in a session."""

from __future__ import annotations

from dataclasses import replace

from ..storage import NewTurn, SessionStore, StorageError, StoredImage, StoredStep, StoredTurn
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box
from ..vlm.pictures import Picture, Source, open_picture
from ..vlm.tasks import BOX_TASKS, Task, Turn, escape_markers, instruction, split_identifier
from ..vlm.vision_language_model import VisionLanguageModel
from .identifiers import check_asked
from .listening import GuardedListener, TurnListener
from .plan import MessagePlanner, PastStep, PastTurn, Plan, PlanContext
from .planner import Planner
from .turn import run

# How many earlier turns the planner sees, and how many the model sees in free conversation.
CONTEXT_TURNS = 20
CHAT_TURNS = 3
# A new session is titled with its first message, cut to this many characters.
TITLE_LENGTH = 60


class Assistant:
    """Answers messages about an image and saves each turn in a session.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, SessionStore.open(f"{folder}/sessions.db") as store:
    ...     turn = Assistant(model, store).ask(None, "[refer] the cat", "cat.jpg")
    >>> turn.answer, turn.phrases[0].boxes[0].bins
    ('The cat is on the left.', (10, 20, 50, 100))
    """

    def __init__(
        self, model: VisionLanguageModel, store: SessionStore, planner: MessagePlanner | None = None
    ) -> None:
        self.model = model
        self.store = store
        self.planner: MessagePlanner = planner or Planner.for_model(model)

    def ask(
        self,
        session_id: str | None,
        message: str,
        picture: Source | None = None,
        kept: StoredImage | None = None,
        region: Box | None = None,
        task: Task | None = None,
        *,
        replaces: int | None = None,
        listener: TurnListener | None = None,
        verify: bool = False,
    ) -> StoredTurn:
        """Answer one message; return the stored turn.

        `picture` is the image for the model, in any form, and `kept` the same image in the store; an explicit
        `task` overrides the planner. Without a `session_id`, `ask` creates a session once it has an answer,
        so an interrupted question leaves no empty session. The new turn replaces the session's last turn if
        `replaces` gives its number. `listener` receives events and may stop the turn; the partial answer is
        saved. With `verify`, the model checks each of its boxes.

        Raises:
            ImageError: the image cannot be opened.
            SessionNotFoundError: there is no such session.
            StorageError: the turn cannot be saved, or `replaces` is not the session's last.
            AssistantError: the message is empty, or no step succeeded; the turn `replaces` is then kept.
        """
        check_asked(message, task, region)
        picture = None if picture is None else open_picture(picture)
        past = self._past(session_id, replaces)
        guard = GuardedListener(listener) if listener else None
        result = run(
            self.model,
            self.plan(message, _about_image(past, kept), region, task, picture),
            picture.image if picture else None,
            _conversation(past),
            guard,
            verify,
        )
        if replaces is not None and not any(step.text and step.error is None for step in result.steps):
            if guard:
                guard.raise_interruption()
            raise AssistantError(f"{result.answer} The earlier answer is kept.")
        region = region if kept else None
        turn = replace(result, user=message, image=kept, region=region, model=self.model.name)
        stored = self._save(session_id, replaces, turn)
        if guard:
            guard.raise_interruption()
        return stored

    def _save(self, session_id: str | None, replaces: int | None, turn: NewTurn) -> StoredTurn:
        try:
            if session_id is None:
                session_id = self.store.create_session(turn.user[:TITLE_LENGTH]).id
            if replaces is None:
                return self.store.append_turn(session_id, turn)
            return self.store.replace_turn(session_id, replaces, turn)
        except StorageError as error:
            raise StorageError(f"{error}; not saved: {turn.answer}") from error

    def _past(self, session_id: str | None, replaces: int | None) -> list[StoredTurn]:
        if session_id is None:
            return []
        past = self.store.turns(session_id, last=CONTEXT_TURNS + (replaces is not None))
        return past if replaces is None else [turn for turn in past if turn.number < replaces]

    def plan(
        self,
        message: str,
        past: list[StoredTurn],
        region: Box | None = None,
        task: Task | None = None,
        picture: Picture | None = None,
    ) -> Plan:
        """Plan a message given a session's earlier turns; an explicit task overrides the planner."""
        size = (picture.width, picture.height) if picture else None
        context = PlanContext(tuple(map(_past_turn, past)), region, size)
        if task is None:
            return self.planner.plan(message, context)
        typed = f"{task.identifier} {split_identifier(message)[1]}"
        return replace(self.planner.plan(typed, context), why=f"{task.identifier}, because you chose it")


def _about_image(past: list[StoredTurn], kept: StoredImage | None) -> list[StoredTurn]:
    """Return the latest turns about this image; boxes found in another image do not apply."""
    if kept is None:
        return past
    others = [number for number, turn in enumerate(past) if turn.image and turn.image.sha256 != kept.sha256]
    return past[others[-1] + 1 :] if others else past


def _past_turn(turn: StoredTurn) -> PastTurn:
    steps = (
        PastStep(
            Task(step.task) if step.task else None,
            step.argument,
            _boxes(turn, step),
            step.region,
        )
        for step in turn.steps
        if step.error is None
    )
    return PastTurn(turn.user, tuple(steps), turn.answer)


def _boxes(turn: StoredTurn, step: StoredStep) -> tuple[Box, ...]:
    """Return a step's boxes, or the person's corrections if no other step of the turn locates anything."""
    located = [other for other in turn.steps if other.task in BOX_TASKS]
    if turn.corrections is None or turn.image is None or located != [step]:
        return step.boxes
    size = turn.image.width, turn.image.height
    return tuple(Box.from_pixels(*mark.corners, *size) for mark in turn.corrections)


def _conversation(past: list[StoredTurn]) -> tuple[Turn, ...]:
    answered = [turn for turn in past if any(step.error is None for step in turn.steps)]
    return tuple(
        Turn(instruction(None, turn.user), escape_markers(turn.answer)) for turn in answered[-CHAT_TURNS:]
    )
