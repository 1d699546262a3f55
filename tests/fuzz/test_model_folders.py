"""Whatever lies in a folder that is named as a model, it loads and answers or is refused in one line."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.ui.loading import quieten_libraries
from assistant.vlm.answers import Request
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, save_adapter
from assistant.vlm.calibration import FILE, Calibration
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.tasks import Task

from ..vlm.tiny import picture, tiny_model, tiny_processor
from .documents import changed
from .lengths import fuzzed
from .mutations import damaged

SETTINGS: tuple[str, ...] = (
    "config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "generation_config.json",
)
SETTINGS += ("adapter/adapter_config.json", f"adapter/{FILE}")
OTHERS = ("model.safetensors", "adapter/adapter_model.safetensors", "tokenizer.json")


@cache
def whole() -> Path:
    """Return a folder with a tiny model, and below it one with its adapter."""
    folder = Path(mkdtemp())
    model = tiny_model("dinov2 and classifier")
    model.save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    save_adapter(add_adapter(model, AdapterConfig(rank=2)), folder / "adapter", str(folder))
    weights = {"refer": {"bias": 0.5, "place": 1.0}}
    (folder / "adapter" / FILE).write_text(Calibration(weights=weights).model_dump_json())
    return folder


@pytest.fixture(scope="module", autouse=True)
def _tidy() -> object:
    quieten_libraries()
    yield
    shutil.rmtree(whole())


def check(name: str, content: bytes) -> None:
    """Load the folder with another content of one file, ask it, and put back what was there."""
    path = whole() / name
    before = path.read_bytes()
    # A new file: the old one may still be mapped into memory.
    path.unlink()
    path.write_bytes(content)
    try:
        engine = LocalEngine.load(str(whole() / "adapter"))
    except WeightsError as error:
        refusal = str(error)
        assert refusal.isprintable()
        assert str(whole()) in refusal
        assert len(refusal) < 1000
    else:
        request = Request(Task.REFER, "a dog", image=picture(0))
        assert engine.generate([request])[0].seconds >= 0
    finally:
        path.unlink()
        path.write_bytes(before)


@fuzzed
@given(st.data())
def test_settings_with_other_values(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(SETTINGS))
    check(name, data.draw(changed(json.loads((whole() / name).read_bytes()))))


@fuzzed
@given(st.data())
def test_damaged_files(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(SETTINGS + OTHERS))
    check(name, data.draw(damaged(st.just((whole() / name).read_bytes()))))


@fuzzed
@given(st.data())
def test_a_tokenizer_with_other_values(data: st.DataObject) -> None:
    document = json.loads((whole() / "tokenizer.json").read_bytes())
    check("tokenizer.json", data.draw(changed(document)))
