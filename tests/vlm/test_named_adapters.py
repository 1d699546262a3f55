"""Several adapters by name over one base: each request gets its own in any batch."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assistant.vlm.answers import Request
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, save_adapter
from assistant.vlm.calibration import FILE, Calibration
from assistant.vlm.engine.loading import load_engine
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.remote import RemoteEngine
from assistant.vlm.errors import AssistantError, WeightsError
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from .tiny import picture, tiny_model, tiny_processor

NAMES = ("", "left", "right")
CONFIGS = {"left": AdapterConfig(rank=2), "right": AdapterConfig(rank=3, tower=True)}
REQUEST = Request(Task.GROUNDING, image=picture(1))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    tiny_model("blip2").save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("adapters")
    for seed, (name, config) in enumerate(CONFIGS.items()):
        model = add_adapter(tiny_model("blip2"), config)
        torch.manual_seed(seed)
        for weights in model.parameters():
            if weights.requires_grad:
                torch.nn.init.normal_(weights, std=0.3)
        save_adapter(model, place / name, str(base))
    return {name: place / name for name in CONFIGS}


@pytest.fixture(scope="module")
def alone(base: Path, adapters: dict[str, Path]) -> dict[str, LocalEngine]:
    """An engine for the base and one for each adapter, each with nothing else."""
    folders = {"": base} | adapters
    return {name: LocalEngine.load(str(it), dtype=torch.float32) for name, it in folders.items()}


@pytest.fixture
def engine(base: Path, adapters: dict[str, Path]) -> LocalEngine:
    return LocalEngine.load(str(base), dtype=torch.float32, adapters=adapters)


@pytest.fixture(scope="module")
def expected(alone: dict[str, LocalEngine]) -> dict[str, str]:
    answers = {name: engine.generate([REQUEST])[0].raw for name, engine in alone.items()}
    assert len(set(answers.values())) == len(answers)
    return answers


def by(name: str) -> Request:
    return replace(REQUEST, adapter=name)


def test_each_request_of_a_call_is_answered_by_its_own_adapter(
    engine: LocalEngine, expected: dict[str, str]
) -> None:
    order = ("left", "right", "", "right", "left", "left", "")
    answers = engine.generate([by(name) for name in order])
    assert [answer.raw for answer in answers] == [expected[name] for name in order]


def test_threads_that_ask_by_different_adapters_share_the_engine(
    engine: LocalEngine, expected: dict[str, str]
) -> None:
    answers: list[tuple[str, str]] = []

    def ask(name: str) -> None:
        answers.extend((name, engine.generate([by(name)])[0].raw) for _ in range(3))

    threads = [threading.Thread(target=ask, args=(name,)) for name in NAMES * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 18
    assert all(raw == expected[name] for name, raw in answers)


def test_ranking_too_is_the_adapters(engine: LocalEngine, alone: dict[str, LocalEngine]) -> None:
    request, choices = Request(Task.VQA, "what is it?", image=picture(0)), ("a dog", "a cat")
    for name in NAMES:
        found = engine.rank(replace(request, adapter=name), choices)
        assert found == pytest.approx(alone[name].rank(request, choices), abs=1e-4)


def test_the_model_says_by_which_adapter_it_answers(
    base: Path, adapters: dict[str, Path], expected: dict[str, str]
) -> None:
    folders = {name: str(folder) for name, folder in adapters.items()}
    model = VisionLanguageModel.load(str(base), dtype="float32", adapters=folders)
    left = model.with_adapter("left")
    assert (model.name, left.name) == (str(base), f"{base}+left")
    assert left.generate([REQUEST, by("right")])[0].raw == expected["left"]
    assert left.generate([REQUEST, by("right")])[1].raw == expected["right"]
    assert left.with_options(left.options).adapter == "left"
    assert expected["left"].startswith("".join(left.stream(REQUEST)).strip())
    assert model.generate([REQUEST])[0].raw == expected[""]


def test_over_a_models_own_adapter(adapters: dict[str, Path], expected: dict[str, str]) -> None:
    """What `--model` names with an adapter answers by that one where a request names none."""
    engine = LocalEngine.load(
        str(adapters["left"]), dtype=torch.float32, adapters={"mine": adapters["right"]}
    )
    answers = engine.generate([REQUEST, by("mine"), REQUEST])
    assert [it.raw for it in answers] == [expected["left"], expected["right"], expected["left"]]


def test_each_adapter_keeps_its_calibration(base: Path, adapters: dict[str, Path], tmp_path: Path) -> None:
    mine = shutil.copytree(adapters["left"], tmp_path / "mine")
    (mine / FILE).write_text('{"weights": {"refer": {"bias": 1.0}}}')
    engine = LocalEngine.load(str(base), adapters={"mine": mine, "plain": adapters["left"]})
    assert engine.calibrations == {"mine": Calibration.load(mine)}


def test_an_unknown_adapter_is_one_line(engine: LocalEngine, base: Path) -> None:
    with pytest.raises(AssistantError, match=r"^there is no adapter 'up'; there is left, right$"):
        engine.generate([by("up")])
    with pytest.raises(AssistantError, match="no adapter 'up'"):
        engine.rank(by("up"), ["a"])
    with pytest.raises(AssistantError, match=r"none: load one with --adapter NAME=FOLDER$"):
        LocalEngine.load(str(base)).generate([by("up")])


def test_an_adapter_of_another_base_is_refused(base: Path, adapters: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    tiny_model("blip2", seed=1).save_pretrained(other)
    tiny_processor().save_pretrained(other)
    with pytest.raises(WeightsError, match=r"other is not the model 'model' that .*left was trained for"):
        LocalEngine.load(str(other), adapters=adapters)
    save_adapter(add_adapter(tiny_model("blip2"), CONFIGS["left"]), tmp_path / "nanos", "nano")
    with pytest.raises(WeightsError, match=r"nanos is an adapter of nano, not of .*--model nano"):
        LocalEngine.load(str(base), adapters={"mine": tmp_path / "nanos"})
    with pytest.raises(WeightsError, match=r"no adapter in .*nothing: name the folder of one"):
        LocalEngine.load(str(base), adapters={"mine": tmp_path / "nothing"})


def test_a_server_has_no_adapters_of_ours(adapters: dict[str, Path]) -> None:
    address = "http://127.0.0.1:9/v1#m"
    with pytest.raises(AssistantError, match="has its own weights: leave --adapter out"):
        load_engine(address, adapters=adapters)
    with pytest.raises(AssistantError, match="has no adapters of ours"):
        RemoteEngine.connect(address).generate([by("left")])
