"""Zooming in on small referents, with boxes of the full image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.vlm.answers import Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.engine.zoom import ZoomRefiner
from assistant.vlm.grounding import Box, format_box, parse
from assistant.vlm.tasks import Task, Turn

from ..ui.fakes import ScriptedEngine

IMAGE = Image.new("RGB", (400, 200))
SMALL = "{<40><40><50><60>}"
REQUEST = Request(Task.REFER, "the ball", image=IMAGE)


def engine(first: str, second: str, third: str | None = None) -> ScriptedEngine:
    """Answer with one box for the full image, and others for the larger and the smaller crop."""

    def answer(request: Request) -> str:
        assert request.image is not None
        if request.image is IMAGE:
            return first
        return second if request.image.width > 180 or third is None else third

    return ScriptedEngine({Task.REFER: answer}, score=0.5)


def zoomed(scripted: ScriptedEngine, request: Request = REQUEST) -> Generation:
    (answer,) = ZoomRefiner(scripted).generate([request])
    return answer


def test_a_small_referent_is_placed_by_two_crops() -> None:
    # The crops span 20..70 and 25..75 (half of each side), and 25..65 and 30..70 (two fifths).
    scripted = engine(SMALL, "{<50><50><60><75>}", "{<50><50><63><81>}")
    (box,) = zoomed(scripted).grounded.boxes
    assert box.iou(Box(45, 50, 50, 62)) > 0.7
    assert box.score == 0.5
    _, *crops = scripted.requests
    sizes = [request.image.size for request in crops if request.image is not None]
    assert [width / 8 + height / 4 for width, height in sizes] == pytest.approx([50, 40], abs=2)
    assert {request.argument for request in crops} == {"the ball"}


def test_both_crops_count_equally() -> None:
    # The same corner of both crops: the mean of the two.
    (box,) = zoomed(engine(SMALL, "{<0><0><40><40>}", "{<0><0><50><50>}")).grounded.boxes
    assert box.bins[:2] == pytest.approx((22, 27), abs=2)
    assert box.bins[2:] == pytest.approx((43, 48), abs=2)


def test_one_closer_look_that_finds_something_is_enough() -> None:
    (box,) = zoomed(engine(SMALL, "nothing", "{<0><0><100><100>}")).grounded.boxes
    assert box.iou(Box(25, 30, 65, 70)) > 0.85


@pytest.mark.parametrize("words", ["the ball on the left", "the Leftmost ball", "ball in the top corner"])
def test_where_in_the_picture_a_thing_is_shows_in_the_whole_alone(words: str) -> None:
    scripted = engine(SMALL, SMALL)
    zoomed(scripted, replace(REQUEST, argument=words))
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.6), (0.6, 0.3), (None, 0.3)])
def test_the_answer_is_as_sure_as_the_least_sure_look(first: float | None, second: float) -> None:
    class Doubting(ScriptedEngine):
        def generate(
            self, requests: Sequence[Request], listener: GenerationListener | None = None
        ) -> list[Generation]:
            self.score = first if requests[0].image is IMAGE else second
            return super().generate(requests, listener)

    (box,) = zoomed(Doubting({Task.REFER: SMALL})).grounded.boxes
    assert box.score == 0.3


def test_the_time_of_the_batch_of_closer_looks_counts_once() -> None:
    assert zoomed(engine(SMALL, SMALL)).seconds == pytest.approx(0.02)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(replace(REQUEST, history=(Turn("hello", "hi"),)), id="in a conversation"),
        pytest.param(replace(REQUEST, task=Task.DETECTION), id="all of a kind"),
        pytest.param(replace(REQUEST, task=Task.GROUNDING, argument=""), id="a description"),
    ],
)
def test_nothing_else_is_asked_again(request_: Request) -> None:
    scripted = engine(SMALL, SMALL)
    zoomed(scripted, request_)
    assert len(scripted.requests) == 1


def test_a_large_thing_is_looked_at_once() -> None:
    scripted = engine("{<10><5><90><80>}", SMALL)
    assert zoomed(scripted).raw == "{<10><5><90><80>}"
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("second", ["nothing", "{<1><2>"])
def test_where_the_closer_looks_find_nothing_the_first_holds(second: str) -> None:
    assert zoomed(engine(SMALL, second)).raw == SMALL


def test_each_of_several_requests_gets_its_own_answer() -> None:
    scripted = engine(SMALL, "{<0><0><100><100>}")
    requests = [Request(Task.CAPTION, image=IMAGE), REQUEST, Request(Task.VQA, "what?", image=IMAGE)]
    caption, referral, answer = ZoomRefiner(scripted).generate(requests)
    assert (caption.raw, answer.raw) == ("a dog runs through the snow", "brown")
    assert referral.grounded.boxes[0].iou(Box(22, 27, 68, 73)) > 0.9


class Listener:
    """Records texts; stops after a number of them."""

    def __init__(self, most: int = 1000) -> None:
        self.words: list[str] = []
        self.most = most

    def on_text(self, request: int, raw: str) -> None:
        self.words.append(f"{request}: {raw}")

    def should_stop(self) -> bool:
        return len(self.words) >= self.most


def test_listeners_get_the_first_answer() -> None:
    listener = Listener()
    ZoomRefiner(engine(SMALL, "{<0><0><9><9>}")).generate([REQUEST], listener)
    assert listener.words == [f"0: {SMALL}"]


def test_a_stop_during_the_crops_keeps_the_first_answer() -> None:
    class Stopped(ScriptedEngine):
        def generate(
            self, requests: Sequence[Request], listener: GenerationListener | None = None
        ) -> list[Generation]:
            if requests[0].image is IMAGE:
                return super().generate(requests, listener)
            assert listener is not None
            assert listener.should_stop()
            return [Generation(parse("{<1>"), 0.01, complete=False) for _ in requests]

    (answer,) = ZoomRefiner(Stopped({Task.REFER: SMALL})).generate([REQUEST], Listener(most=1))
    assert answer.raw == SMALL
    assert answer.complete


BINS = st.integers(0, 100)


@given(first=st.tuples(BINS, BINS, BINS, BINS), second=st.tuples(BINS, BINS, BINS, BINS))
def test_any_boxes_merge_into_one_within_the_image(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int]
) -> None:
    boxes = [Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)) for x0, y0, x1, y1 in (first, second)]
    first_box, second_box = boxes
    answer = zoomed(engine(format_box(first_box), format_box(second_box)))
    assert len(answer.grounded.boxes) == 1
