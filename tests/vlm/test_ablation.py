"""The ablation on a tiny model: arms that differ in one setting, measured equally."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.evaluation.suites import photo_set

from .tiny import dog_records, tiny_model, tiny_processor, write_photo_folder

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = spec_from_file_location("ablation", BENCHMARKS / "ablation.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ablation", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    asked = {"questions": [{"question": "what is in the snow?", "answer": ["dog"]}]}
    records = [
        record | asked | {"split": "val" if index % 3 == 2 else "train"}
        for index, record in enumerate(dog_records(9))
    ]
    folder = write_photo_folder(tmp_path / "photos", records)
    with (folder / "phrases.jsonl").open("w") as file:
        for record in records:
            box = record["objects"][0]["box"]
            dog = {"caption": 0, "span": (0, len("a dog")), "type": "animals", "chain": "1", "boxes": [box]}
            line = {"image": record["image"], "captions": record["captions"], "phrases": [dog]}
            file.write(json.dumps(line) + "\n")
    return folder


def test_without_identifiers_the_same_is_asked_in_words_alone(ablation: ModuleType, photos: Path) -> None:
    data = photo_set(PhotoFolder(photos, "val"), ["refer", "caption", "identify"])
    plain = ablation.plain(data)
    for name, suite in data.suites.items():
        for before, after in zip(suite.items, plain.suites[name].items, strict=True):
            assert before.request.turns[-1].user == f"[{name}] {after.request.turns[-1].user}"
            assert after.request.task is before.request.task


def test_arms_are_trained_and_measured_equally(
    ablation: ModuleType, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "tiny"
    tiny_model().save_pretrained(base)
    tiny_processor().save_pretrained(base)
    monkeypatch.setattr(ablation, "base_model", lambda _: base)
    arms = {name: ablation.Arm(name, name == "with", tower_layers=1) for name in ("with", "without")}
    monkeypatch.setattr(ablation, "ARMS", arms | {"small": ablation.Arm("small", image_size=224)})
    out = tmp_path / "ablation.json"
    options = ["--data", str(photos), "--runs", str(tmp_path / "runs"), "--steps", "2", "--pictures", "3"]
    options += ["--limit", "2", "--out", str(out)]
    ablation.main([*options, "--arm", "with", "--arm", "without", "--arm", "small"])
    runs = json.loads(out.read_text())["runs"]
    assert [run["arm"] for run in runs] == ["with", "without", "small"]
    for run in runs:
        assert {"loss_caption", "loss_refer", "loss_detection"} <= run["validation"].keys()
        assert run["measures"]["caption.cider_d"]["count"] == 2
    first, second, small = (run["validation"]["loss_refer"] for run in runs)
    assert len({first, second, small}) == 3
    for name, layers, size in (("with-2-0", 1, 336), ("small-2-0", 2, 224)):
        config = json.loads((tmp_path / "runs" / name / "model" / "config.json").read_text())
        assert (config["vision_config"]["num_hidden_layers"], config["image_size"]) == (layers, size)
