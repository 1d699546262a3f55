"""A running answer: its text so far, stopping it, and errors."""

from __future__ import annotations

import threading

import pytest

from assistant.agent.listening import TurnListener
from assistant.agent.plan import Plan, Step
from assistant.storage import StoredStep, StoredTurn
from assistant.ui.page.answering import Answering, in_flight
from assistant.vlm.tasks import Task


class Followed:
    """An answer whose listener the test calls itself."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._end = threading.Event()
        self.answering = Answering(self._ask)
        assert self._ready.wait(10)

    def _ask(self, listener: TurnListener) -> StoredTurn:
        self.listener = listener
        self._ready.set()
        self._end.wait(10)
        raise LookupError("nothing was found")

    def end(self) -> None:
        self._end.set()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a do", "a do"),
        ("<p>a dog</p>", "a dog"),
        ("<p>a dog</p>{<12><30><35><92>} in the", "a dog in the"),
        ("<p>a dog</p>{<12><3", "a dog"),
        ("<p>a dog</p>{", "a dog"),
        ("<p>a dog</", "a dog"),
        ("<p>dogs</p> {<1><2><3><4>}<del", "dogs"),
        ("{<12><30><35><92>}", ""),
    ],
)
def test_partial_text_has_no_complete_or_unfinished_markup(raw: str, words: str) -> None:
    followed = Followed()
    followed.listener.on_text(0, raw)
    assert followed.answering.words == words
    followed.end()


def test_a_finished_step_replaces_its_partial_text() -> None:
    followed = Followed()
    step = Step(Task.VQA, "what colour?")
    followed.listener.on_plan(Plan((step, step), "because"))
    followed.listener.on_text(0, "brow")
    followed.listener.on_step(0, StoredStep("vqa", text="Brown."))
    followed.listener.on_text(1, "red")
    assert followed.answering.words == "Brown. red"
    assert followed.answering.plan is not None
    followed.end()


def test_stop_only_sets_the_listeners_flag() -> None:
    followed = Followed()
    assert not followed.listener.should_stop()
    followed.answering.stop()
    assert followed.listener.should_stop()
    assert not followed.answering.wait(0)
    followed.end()


def test_outcome_raises_the_error_of_the_turn() -> None:
    followed = Followed()
    followed.end()
    assert followed.answering.wait(10)
    with pytest.raises(LookupError, match="nothing was found"):
        followed.answering.outcome()


def test_running_answers_are_counted() -> None:
    first, second = Followed(), Followed()
    both = in_flight()
    assert both >= 2  # those of earlier tests may be about to end
    for followed in (first, second):
        followed.end()
        assert followed.answering.wait(10)
    assert in_flight() <= both - 2
