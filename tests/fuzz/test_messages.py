"""Whatever a person types, it is read quickly, planned, and answered."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.agent.planner import Planner
from assistant.agent.turn import STEP_LIMIT, run
from assistant.vlm.answers import Continuation
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import BINS, Box, find_boxes, parse
from assistant.vlm.planning import (
    MOST_STEPS,
    TASKS,
    WORDS,
    PastStep,
    PastTurn,
    PlanContext,
    Step,
    plan_prompt,
)
from assistant.vlm.tasks import Task, split_identifier
from assistant.vlm.typed_regions import MOST_REGIONS, typed_regions
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine
from .lengths import fuzzed

CPU_SECONDS = 5
"""Far more than reading any message may take, on a slow machine as well."""

_PIECES = (
    *"0123456789.,;:()[]{}<>|/-=% \n\t'\"_x\u00d7\u2013",
    "{<12><30><45><90>}",
    "<delim>",
    "<p>",
    "</p>",
    "[refer]",
    "[vqa]",
    "[identify] ",
    "[INST]",
    "</Img>",
    "<image>",
    "</s>",
    "T1",
    "A12",
    "R> ",
    " ;",
    "=>",
    "x 20 to 45, ",
    "y=3 ",
    "w 10 h 20",
    "top left ",
    " and ",
    "from ",
    "0.25",
    "100",
    "640x480",
    "99999",
    "-1",
    "1e9",
    "px",
    "the dog",
    "where is it?",
    "locate",
    "detect dogs",
    "\0",
    "\ud800",
    "\u202e",
    "٣",
    "🐶",
)

words = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=40).map("".join),
    st.text(max_size=100),
    st.builds(lambda piece, times: piece * times, st.sampled_from(_PIECES), st.integers(1, 3000)),
    st.builds(
        lambda a, b, times: (a + b) * times,
        st.sampled_from(_PIECES),
        st.sampled_from(_PIECES),
        st.integers(1, 1500),
    ),
)
sizes = st.one_of(st.none(), st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)))
bins = st.tuples(st.integers(0, BINS - 1), st.integers(0, BINS - 1)).map(
    lambda corner: Box(*corner, corner[0] + 1, corner[1] + 1)
)
past_steps = st.builds(
    PastStep,
    task=st.sampled_from([None, *Task]),
    argument=words,
    boxes=st.lists(bins, max_size=120).map(tuple),
)
past_turns = st.builds(PastTurn, user=words, steps=st.lists(past_steps, max_size=3).map(tuple), answer=words)
contexts = st.builds(
    PlanContext,
    turns=st.lists(past_turns, max_size=3).map(tuple),
    region=st.one_of(st.none(), bins),
    size=sizes,
)


class Babbler:
    """A model that plans, and writes what it was given."""

    def __init__(self, written: str, probability: float) -> None:
        self.written = Continuation(written, (written,), (probability,))

    def complete(self, completions: list[object]) -> list[Continuation]:
        return [self.written] * len(completions)


@fuzzed
@given(words, sizes)
def test_typed_boxes_are_found_quickly_and_lie_in_the_picture(
    text: str, size: tuple[int, int] | None
) -> None:
    began = time.thread_time()
    rest, boxes = typed_regions(text, size)
    assert len(boxes) <= MOST_REGIONS
    for number, box in enumerate(boxes, 1):
        assert f"T{number}" in rest
        assert 0 <= box.bins[0] <= box.bins[2] <= BINS
        assert 0 <= box.bins[1] <= box.bins[3] <= BINS
    split_identifier(text)
    assert time.thread_time() - began < CPU_SECONDS


@fuzzed
@given(words)
def test_what_a_model_writes_is_read_quickly(text: str) -> None:
    began = time.thread_time()
    for phrase in parse(text).phrases:
        assert phrase.boxes
    for span in find_boxes(text):
        assert text[span.start : span.end]
    assert time.thread_time() - began < CPU_SECONDS


@fuzzed
@given(words, contexts, st.lists(st.one_of(words, st.sampled_from(sorted(TASKS))), max_size=6).map(" ".join))
def test_any_plan_that_is_written_becomes_steps(message: str, context: PlanContext, written: str) -> None:
    prompt = plan_prompt(message, context)
    prompt.text.encode()
    steps = prompt.read(written, message)
    assert 1 <= len(steps) <= MOST_STEPS
    assert all(isinstance(step, Step) and step.task in WORDS for step in steps)
    for end in range(0, min(len(written), 60)):
        choices = prompt.choices(written[:end])
        assert choices is None or all(isinstance(choice, str) for choice in choices)


@fuzzed
@given(words, contexts, words, st.floats(0, 1))
def test_every_message_is_planned_and_answered_or_refused_in_one_line(
    message: str, context: PlanContext, written: str, probability: float
) -> None:
    try:
        writer: Any = Babbler(written, probability)
        plan = Planner(writer).plan(message, context)
    except AssistantError as error:  # of a typed box that cannot be meant
        refusal = str(error)
        assert refusal.isprintable()
        return
    assert plan.steps
    result = run(VisionLanguageModel(ScriptedEngine({}, 0.8)), plan, Image.new("RGB", (20, 10)), ())
    assert len(result.steps) == min(len(plan.steps), STEP_LIMIT)
    assert result.answer.strip()
