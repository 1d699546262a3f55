"""The adapter that ships with the package, over its base weights in the user's cache, end to end."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assistant.vlm.answers import Request
from assistant.vlm.data.nouns import mentions
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.evaluation.provenance import weights_hash
from assistant.vlm.grounding import Box, intersection_over_union, is_well_formed_box
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task, Turn

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# Measured by hand, in pixels of 451 x 300: the head from the left edge to the right ear's tip.
CAT = (0, 0, 400, 300)


def sample(name: str) -> Image.Image:
    return open_picture(SAMPLES / f"{name}.jpg").image


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    """The model on the CPU in float32, in which the order of additions changes no word."""
    engine = LocalEngine.load("nano")
    engine.model = engine.model.float().to("cpu")
    return engine


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `assistant ask` says where the cat is."""
    folder = tmp_path_factory.mktemp("shipped")
    run = subprocess.run(
        [
            *(sys.executable, "-c", "from assistant.ui.cli import main; main()"),
            *("ask", str(SAMPLES / "cat.jpg"), "where is the cat?", "--json"),
            *("--db", str(folder / "sessions.db"), "--save", str(folder / "found.png")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "Warning" not in run.stderr
    assert (folder / "found.png").is_file()
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_nano_is_asked_in_the_tokens_that_it_was_trained_on(engine: LocalEngine) -> None:
    image, history = sample("cat"), (Turn("[vqa] what color is the dog?", "brown"),)
    opening = [1, 75, 39637, 77, 2067, 2777, 87, 46]
    refer = [9617, 2777, 87, 46, 933, 257, 2344, 77, 1928, 549, 260, 3695, 282, 260, 2767, 933, 31, 39637, 77]
    color = [9617, 2777, 87, 46, 933, 102, 14619, 77, 732, 2380, 314, 260, 2767, 47, 933, 31, 39637, 77]
    where = [1, 75, 39637, 77, 837, 314, 357, 47, 933, 31, 39637, 77]
    wanted = [
        (Request(Task.REFER, "the dog", image=image), [*opening, *refer]),
        (Request(None, "where is it?", image=image, history=history), [*opening, *color, 22216, 2, *where]),
        (Request(None, "hello <s>"), [1, 75, 39637, 77, 33662, 365, 99, 25, 933, 31, 39637, 77]),
    ]
    processor = engine.processor
    for request, ids in wanted:
        asked = processor([request.image], [request.turns_in(processor.prompt_form)])["input_ids"][0].tolist()
        assert [token for token in asked if token != processor.image_token_id] == ids


def test_the_cat_is_found(answer: dict[str, Any]) -> None:
    (step,) = answer["steps"]
    assert (step["task"], step["argument"]) == ("refer", "the cat")
    assert is_well_formed_box(step["raw"])
    (box,) = step["boxes"]
    assert intersection_over_union(box["box"], CAT) > 0.3
    assert 0.0 < box["score"] <= 1.0
    assert "cat is" in answer["answer"] or "cat may be" in answer["answer"]


def test_the_answers_json_is_complete(answer: dict[str, Any]) -> None:
    assert set(answer) == {"session", "turn", "image", "answer", "steps", "model", "seconds"}
    assert set(answer["image"]) == {"path", "width", "height", "sha256"}
    assert (answer["image"]["width"], answer["image"]["height"]) == (451, 300)
    (step,) = answer["steps"]
    assert set(step) == {"task", "argument", "region", "text", "raw", "boxes", "seconds"}
    assert set(step["boxes"][0]) == {"phrase", "box", "bins", "score"}
    assert (answer["turn"], answer["model"]) == (1, "nano")
    assert answer["seconds"] >= step["seconds"] > 0


@pytest.mark.parametrize(("name", "thing"), [("astronaut", "person")])
def test_a_caption_names_the_main_thing(engine: LocalEngine, name: str, thing: str) -> None:
    (caption,) = engine.generate([Request(Task.CAPTION, image=sample(name))])
    assert mentions(caption.grounded.text, thing), caption.raw
    assert caption.complete


def test_batched_answers_are_those_of_each_alone(engine: LocalEngine) -> None:
    requests = [
        Request(Task.CAPTION, image=sample("coffee")),
        Request(Task.VQA, "what colour is the cat?", image=sample("cat")),
        Request(Task.REFER, "the woman", image=sample("astronaut")),
        Request(Task.DETECTION, "person", image=sample("astronaut")),
        Request(Task.GROUNDING, image=sample("rocket")),
        Request(Task.IDENTIFY, region=Box(0, 0, 89, 100), image=sample("cat")),
    ]
    assert {request.task for request in requests} == set(Task)
    together = engine.generate(requests)
    alone = [engine.generate([request])[0] for request in requests]
    assert [found.raw for found in together] == [found.raw for found in alone]
    scores = [[box.score for box in found.grounded.boxes] for found in together]
    expected = [[box.score for box in found.grounded.boxes] for found in alone]
    assert scores == [pytest.approx(row, abs=1e-3) for row in expected]
    assert all(found.raw for found in together)


def test_a_stream_is_the_answer_in_pieces(engine: LocalEngine) -> None:
    request = Request(Task.CAPTION, image=sample("cat"))
    pieces = list(engine.stream(request))
    assert "".join(pieces).strip() == engine.generate([request])[0].raw
    assert len(pieces) > 3


def test_the_card_has_the_measured_figures_of_the_weights_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    card = importlib.import_module("card")
    text = card.CARD.read_text(encoding="utf-8")
    assert card.filled(text) == text
    hashed = weights_hash("nano")
    for name in ("nano-val", "calibration"):
        results = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        assert results["weights_sha256"] == hashed
