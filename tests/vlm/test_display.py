"""Results show themselves in terminals and notebooks, and convert to other libraries' types."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.pretty import pretty_repr

from assistant.vlm import drawing
from assistant.vlm.answers import Detections, Expression, GroundedCaption, ReferringResult
from assistant.vlm.display import COLUMNS, ShowsBoxes
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box, GroundedPhrase
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..tools.fakes import SAMPLES, FakeEngine

IMAGE = Image.new("RGB", (200, 100), "white")
DOGS = GroundedPhrase("dogs", (Box(0, 0, 50, 50, 0.9), Box(50, 50, 100, 100, 0.4)))
CAT = GroundedPhrase("a cat", (Box(10, 10, 20, 20, 0.7),))
RESULTS = [
    pytest.param(ReferringResult("a cat", CAT.boxes[0], 0.7, IMAGE), [CAT], id="refer"),
    pytest.param(Detections((DOGS, CAT), IMAGE), [DOGS, CAT], id="detect"),
    pytest.param(GroundedCaption("a cat", (CAT,), "", IMAGE), [CAT], id="ground"),
    pytest.param(Expression("a cat", CAT.boxes[0], IMAGE), [CAT], id="identify"),
]


@pytest.mark.parametrize(("result", "drawn"), RESULTS)
def test_a_notebook_shows_the_image_with_the_boxes(result: ShowsBoxes, drawn: list[GroundedPhrase]) -> None:
    shown = result._repr_png_()  # type: ignore[misc]
    picture = Image.open(io.BytesIO(shown))
    assert picture.format == "PNG"
    assert np.array_equal(np.asarray(picture), np.asarray(drawing.draw(IMAGE, drawn)))
    assert not np.array_equal(np.asarray(picture), np.asarray(IMAGE))


def test_a_notebook_shows_text_where_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Detections((CAT,))._repr_png_() is None
    monkeypatch.setitem(sys.modules, "assistant.vlm.drawing", None)
    assert Detections((CAT,), IMAGE)._repr_png_() is None


def test_supervision_gets_pixels_classes_and_confidences() -> None:
    found = Detections((DOGS, CAT), IMAGE).to_supervision()
    assert found.xyxy.tolist() == [[0, 0, 100, 50], [100, 50, 200, 100], [20, 10, 40, 20]]
    assert found.confidence == pytest.approx([0.9, 0.4, 0.7])
    assert found.class_id.tolist() == [0, 0, 1]
    assert list(found.data["class_name"]) == ["dogs", "dogs", "a cat"]


def test_supervision_gets_no_confidences_unless_every_box_has_one() -> None:
    unsure = GroundedPhrase("a cup", (Box(0, 0, 1, 1),))
    assert Detections((DOGS, unsure), IMAGE).to_supervision().confidence is None


def test_nothing_found_is_no_detection_and_a_table_without_rows() -> None:
    nothing = ReferringResult("a cat", None, 0.0, IMAGE)
    assert len(nothing.to_supervision()) == 0
    table = nothing.to_pandas()
    assert (list(table.columns), len(table)) == (list(COLUMNS), 0)
    assert nothing._repr_png_() is not None


def test_a_table_has_a_row_per_box_and_nan_for_an_unknown_score() -> None:
    table = Detections((DOGS, GroundedPhrase("a cup", (Box(0, 0, 1, 1),))), IMAGE).to_pandas()
    assert table["phrase"].tolist() == ["dogs", "dogs", "a cup"]
    assert table[["x0", "y0", "x1", "y1"]].iloc[1].tolist() == [100, 50, 200, 100]
    assert table["score"].isna().tolist() == [False, False, True]
    assert table["score"].dtype == float


@pytest.mark.parametrize("convert", ["to_supervision", "to_pandas"])
def test_a_result_without_an_image_cannot_be_converted(convert: str) -> None:
    with pytest.raises(ValueError, match="no image"):
        getattr(Detections((CAT,)), convert)()


@pytest.mark.parametrize(
    ("convert", "module", "extra"),
    [("to_supervision", "supervision", "drawing"), ("to_pandas", "pandas", "notebook")],
)
def test_a_missing_library_is_one_line_with_the_remedy(
    convert: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AssistantError, match=rf"^`{convert}\(\)` needs an extra: .*\[{extra}\]'$"):
        getattr(Detections((CAT,), IMAGE), convert)()


def test_a_terminal_shows_what_matters_on_one_line() -> None:
    found = ReferringResult("a cat", Box(1, 2, 3, 4, 0.5), 0.5, IMAGE)
    assert pretty_repr(found) == "ReferringResult('a cat', Box(1, 2, 3, 4, score=0.5), confidence=0.5)"
    assert pretty_repr(Detections((GroundedPhrase("it", (Box(1, 2, 3, 4),)),), IMAGE)) == (
        "Detections(GroundedPhrase('it', Box(1, 2, 3, 4)))"
    )
    assert pretty_repr(Expression("it", Box(1, 2, 3, 4))) == "Expression('it', Box(1, 2, 3, 4))"
    assert pretty_repr(GroundedCaption("it runs", ())) == "GroundedCaption('it runs')"


def test_the_model_gives_its_results_the_image_it_saw() -> None:
    model, path = VisionLanguageModel(FakeEngine()), SAMPLES / "cat.jpg"
    boxed: list[Any] = [model.refer(path, "it"), model.detect(path, "it"), model.ground(path)]
    results = [*boxed, model.identify(path, Box(0, 0, 50, 50))]
    assert [result.image.size for result in results] == [(451, 300)] * 4
