"""Small things are looked at twice: the second time from nearby, and told of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.engine.closer_look import CloserLook
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import Task, Turn

from ..ui.fakes import ScriptedEngine

PICTURE = Image.new("RGB", (400, 200))
SMALL = "{<40><40><50><60>}"
ASKED = Request(Task.REFER, "the ball", image=PICTURE)


def engine(first: str, second: str) -> ScriptedEngine:
    """Answer with one box of the whole picture and with another of a part of it."""
    return ScriptedEngine(
        {Task.REFER: lambda request: first if request.image is PICTURE else second}, score=0.5
    )


def look(scripted: ScriptedEngine, request: Request = ASKED) -> Generation:
    (answer,) = CloserLook(scripted).generate([request])
    return answer


def test_a_small_thing_is_placed_by_the_second_look() -> None:
    scripted = engine(SMALL, "{<50><50><60><75>}")
    (box,) = look(scripted).grounded.boxes
    # Half of each side is seen, from 20 to 70 and from 25 to 75 of the picture; crops end at whole bins.
    assert box.iou(Box(45, 50, 50, 62)) > 0.7
    assert box.score == 0.5
    _, second = scripted.requests
    assert second.image is not None
    assert abs(second.image.width - 200) <= 8
    assert abs(second.image.height - 100) <= 4
    assert second.argument == "the ball"


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.6), (0.6, 0.3), (None, 0.3)])
def test_the_answer_is_as_sure_as_the_less_sure_look(first: float | None, second: float) -> None:
    class Doubting(ScriptedEngine):
        def generate(
            self, requests: Sequence[Request], listener: GenerationListener | None = None
        ) -> list[Generation]:
            self.score = first if requests[0].image is PICTURE else second
            return super().generate(requests, listener)

    (box,) = look(Doubting({Task.REFER: SMALL})).grounded.boxes
    assert box.score == 0.3


def test_the_time_of_both_looks_counts() -> None:
    assert look(engine(SMALL, SMALL)).seconds == pytest.approx(0.02)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(replace(ASKED, history=(Turn("hello", "hi"),)), id="in a conversation"),
        pytest.param(replace(ASKED, task=Task.DETECTION), id="all of a kind"),
        pytest.param(replace(ASKED, task=Task.GROUNDING, argument=""), id="a description"),
    ],
)
def test_nothing_else_is_asked_twice(request_: Request) -> None:
    scripted = engine(SMALL, SMALL)
    look(scripted, request_)
    assert len(scripted.requests) == 1


def test_a_large_thing_is_looked_at_once() -> None:
    scripted = engine("{<10><5><90><80>}", SMALL)
    assert look(scripted).raw == "{<10><5><90><80>}"
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("second", ["nothing", "{<1><2>"])
def test_where_the_second_look_finds_nothing_the_first_holds(second: str) -> None:
    assert look(engine(SMALL, second)).raw == SMALL


def test_each_of_several_requests_gets_its_own_answer() -> None:
    scripted = engine(SMALL, "{<0><0><100><100>}")
    requests = [Request(Task.CAPTION, image=PICTURE), ASKED, Request(Task.VQA, "what?", image=PICTURE)]
    caption, referral, answer = CloserLook(scripted).generate(requests)
    assert (caption.raw, answer.raw) == ("a dog runs through the snow", "brown")
    assert referral.grounded.boxes[0].iou(Box(20, 25, 70, 75)) > 0.9


class Ear:
    """Hears everything, and wants to stop once it has heard so many words."""

    def __init__(self, most: int = 1000) -> None:
        self.words: list[str] = []
        self.most = most

    def heard(self, request: int, raw: str) -> None:
        self.words.append(f"{request}: {raw}")

    def wants_stop(self) -> bool:
        return len(self.words) >= self.most


def test_whoever_listens_hears_the_first_look() -> None:
    ear = Ear()
    CloserLook(engine(SMALL, "{<0><0><9><9>}")).generate([ASKED], ear)
    assert ear.words == [f"0: {SMALL}"]


def test_a_stop_during_the_second_look_leaves_the_first() -> None:
    class Stopped(ScriptedEngine):
        def generate(
            self, requests: Sequence[Request], listener: GenerationListener | None = None
        ) -> list[Generation]:
            if requests[0].image is PICTURE:
                return super().generate(requests, listener)
            assert listener is not None
            assert listener.wants_stop()
            return [Generation(parse("{<1>"), 0.01, complete=False)]

    (answer,) = CloserLook(Stopped({Task.REFER: SMALL})).generate([ASKED], Ear(most=1))
    assert answer.raw == SMALL
    assert answer.complete


BINS = st.integers(0, 100)


@given(first=st.tuples(BINS, BINS, BINS, BINS), second=st.tuples(BINS, BINS, BINS, BINS))
def test_wherever_the_boxes_are_one_within_the_picture_comes_back(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int]
) -> None:
    boxes = [Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)) for x0, y0, x1, y1 in (first, second)]
    before, nearby = boxes
    answer = look(engine(format_box(before), format_box(nearby)))
    assert len(answer.grounded.boxes) == 1
