"""Models from and to the Hugging Face Hub, over HTTP against a local stand-in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from transformers import AutoProcessor

from assistant.vlm.answers import Request
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.errors import AssistantError, WeightsError
from assistant.vlm.folders.hub import fetch_repository
from assistant.vlm.released.conversion import convert_released
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..tools.fakes import FakeEngine
from .hub_server import COMMIT, HubServer
from .released_files import EVA_VIT, HEADS, checkpoint_state, write_checkpoint, write_llama
from .tiny import picture

LOADERS = (
    VisionLanguageModel.from_pretrained,
    MiniGPTv2ForConditionalGeneration.from_pretrained,
    MiniGPTv2Processor.from_pretrained,
)
CAPTION = Request(Task.CAPTION, image=picture(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("released")
    checkpoint = write_checkpoint(place / "checkpoint.pth", checkpoint_state())
    convert_released(write_llama(place / "llama"), EVA_VIT, checkpoint, place / "minigpt-v2", heads=HEADS)
    return place / "minigpt-v2"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A stand-in that the client takes for the Hub, with an empty cache."""
    with HubServer() as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + TEMPLATE)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


TEMPLATE = "/{repo_id}/resolve/{revision}/{filename}"


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pushed_model_answers_the_same_when_fetched(hub: HubServer, folder: Path) -> None:
    (folder / "notes.txt").write_text("not a part of the model")
    model = VisionLanguageModel.from_pretrained(folder, dtype="float32")
    assert model.push_to_hub("me/mine", token="t") == f"{hub.address}/me/mine"
    assert hub.private == {"me/mine": True}
    assert hub.repositories["me/mine"].keys() == held(folder).keys() - {"notes.txt"}
    fetched = VisionLanguageModel.from_pretrained("me/mine", dtype="float32")
    assert fetched.generate([CAPTION])[0].raw == model.generate([CAPTION])[0].raw
    hub.fetched.clear()
    fetch_repository("me/mine")
    assert not [it for it in hub.fetched if it.startswith("GET") and "/resolve/" in it]  # from the cache


def test_only_the_models_files_are_fetched(hub: HubServer, folder: Path) -> None:
    hub.repositories["me/mine"] = held(folder) | {"model.bin": b"code", "modeling.py": b"raise SystemExit"}
    fetched = fetch_repository("me/mine", COMMIT)
    assert {path.name for path in fetched.rglob("*")} >= {"config.json", "adapter_model.safetensors"}
    assert not {path.name for path in fetched.rglob("*")} & {"model.bin", "modeling.py"}


def test_transformers_own_loading_fetches_it_too(hub: HubServer, folder: Path) -> None:
    hub.repositories["me/mine"] = held(folder)
    model = MiniGPTv2ForConditionalGeneration.from_pretrained("me/mine")
    assert model.config.image_tokens == 4


def test_an_adapter_is_pushed_without_its_base(hub: HubServer, folder: Path) -> None:
    model = VisionLanguageModel.load(str(folder / "adapter"))
    model.push_to_hub("me/adapter", private=False)
    assert hub.private == {"me/adapter": False}
    assert hub.repositories["me/adapter"].keys() == held(folder / "adapter").keys()
    with pytest.raises(WeightsError, match="name its folder"):
        VisionLanguageModel.from_pretrained("me/adapter")
    assert VisionLanguageModel.from_pretrained("me/adapter", folder).generate([CAPTION])[0].raw


def test_a_models_name_is_no_repository(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(VisionLanguageModel, "load", lambda *given, **how: loaded.append((given, how)))
    VisionLanguageModel.from_pretrained("nano", dtype="float32")
    assert loaded == [(("nano", None), {"dtype": "float32"})]
    assert not hub.fetched


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("load", LOADERS)
def test_a_repository_that_is_not_there_is_one_line(load: Callable[[str], object]) -> None:
    with pytest.raises(
        WeightsError, match=r"^no folder and no repository 'me/nothing': .*OWNER/NAME"
    ) as caught:
        load("me/nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", ["no/such/name", "nothing", "/no/folder", "./nothing", ""])
def test_the_hub_is_not_asked_about_a_missing_folder(
    hub: HubServer, load: Callable[[str], object], name: str
) -> None:
    with pytest.raises(WeightsError, match=f"^there is no folder '{re.escape(name)}': .*OWNER/NAME"):
        load(name)
    assert not hub.fetched


@pytest.mark.parametrize("file", ["processor_config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_file_that_the_processor_lacks_is_one_line(folder: Path, tmp_path: Path, file: str) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    assert AutoProcessor.from_pretrained(copied).image_tokens == 4
    (copied / file).unlink()
    with pytest.raises(WeightsError, match=rf"^there is no file .*copied/{re.escape(file)}; copy the folder"):
        AutoProcessor.from_pretrained(copied)


def test_a_repository_of_others_is_one_line(hub: HubServer, folder: Path) -> None:
    hub.repositories["me/mine"] = held(folder)
    hub.token = "secret"
    with pytest.raises(WeightsError, match="no folder and no repository"):
        fetch_repository("me/mine", token="wrong")
    assert fetch_repository("me/mine", token="secret").is_dir()
    with pytest.raises(WeightsError, match=r"cannot be pushed to 'me/mine': .*hf auth login"):
        VisionLanguageModel.load(str(folder)).push_to_hub("me/mine", token="wrong")


def test_no_network_is_one_line(hub: HubServer, folder: Path) -> None:
    hub.stop()
    with pytest.raises(WeightsError, match="no folder and no repository 'me/mine'"):
        fetch_repository("me/mine")
    with pytest.raises(WeightsError, match="cannot be pushed"):
        VisionLanguageModel.load(str(folder)).push_to_hub("me/mine")


def test_a_model_without_a_folder_cannot_be_pushed() -> None:
    with pytest.raises(AssistantError, match="was not loaded from a folder"):
        VisionLanguageModel(FakeEngine()).push_to_hub("me/mine")
