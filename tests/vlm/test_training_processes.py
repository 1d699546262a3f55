"""Two processes take the same steps as one, with data parallelism and with sharded weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file

from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.run import train

from .runs import short_run
from .tiny import picture, tiny_model, tiny_processor

State = dict[str, torch.Tensor]


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def learnt(out: Path) -> State:
    """The weights of the last checkpoint, in float32."""
    return load_file(out / "checkpoint-4" / "adapter_model.safetensors")


def write_talk(folder: Path) -> Path:
    """Write six conversations, two of them about an image."""
    picture(0).save(folder / "0.png")
    words = [{"ask": f"who is number {number}?", "answer": "a dog" * number} for number in range(1, 7)]
    rows = [row | {"image": "0.png"} if number in (1, 4) else row for number, row in enumerate(words)]
    (folder / "talk.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder / "talk.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs of one process, `one…`, and of two with the same settings."""
    folder = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSISTANT_CACHE", str(folder / "cache"))
        train_in_all_ways(folder)
        yield folder


def train_in_all_ways(folder: Path) -> None:
    plain = AdapterConfig(rank=2, alpha=4)
    config = replace(
        short_run(folder, 4, batch=4, log_every=1, bf16=False, adapter=plain), out=folder / "one"
    )
    half = replace(config, out=folder / "one-half", bf16=True)
    # Each process has one conversation per step, mostly without an image.
    talk = replace(config, data=write_talk(folder), out=folder / "one-talk", batch=2)
    train(tiny_model(), tiny_processor(), talk)
    train(tiny_model(), tiny_processor(), config)
    train(tiny_model().bfloat16(), tiny_processor(), half)

    def settings(name: str, base: TrainingConfig = config, **others: object) -> dict[str, object]:
        changed = replace(base, out=folder / name, **others)  # type: ignore[arg-type]
        return TypeAdapter(TrainingConfig).dump_python(changed, mode="json")  # type: ignore[no-any-return]

    runs = [
        {"settings": settings("parallel")},
        {"settings": settings("parallel-parts", gradient_accumulation=2)},
        {"settings": settings("parallel-talk", talk)},
        {"settings": settings("refused", fsdp=True), "refused": True},
        {"settings": settings("sharded", fsdp=True)},
        {"settings": settings("sharded-talk", talk, fsdp=True)},
        {"settings": settings("sharded-half", half, fsdp=True, gradient_checkpointing=True), "half": True},
        {"settings": settings("resumed", fsdp=True)},
        {"settings": settings("resumed", fsdp=True), "forget": "checkpoint-4"},
    ]
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    work = ["--module", "assistant.tests.vlm.processes", json.dumps(runs)]
    subprocess.run([*start, *work], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)


@pytest.mark.parametrize("way", ["parallel", "parallel-parts", "sharded", "resumed"])
def test_two_processes_take_the_steps_of_one(folder: Path, way: str) -> None:
    assert losses(folder / way) == pytest.approx(losses(folder / "one"), rel=1e-5)
    one, two = learnt(folder / "one"), learnt(folder / way)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("way", ["parallel-talk", "sharded-talk"])
def test_a_process_without_an_image_does_not_block_the_others(folder: Path, way: str) -> None:
    assert losses(folder / way) == pytest.approx(losses(folder / "one-talk"), rel=1e-4)


def test_sharded_weights_in_half_precision_train_equally(folder: Path) -> None:
    assert losses(folder / "sharded-half") == pytest.approx(losses(folder / "one-half"), rel=0.02)


def test_weights_are_never_left_whole_in_each_process_without_a_word(folder: Path) -> None:
    for rank in (0, 1):
        [refusal] = json.loads((folder / f"refusals-{rank}.json").read_text())
        assert refusal.startswith("fsdp shards weights over GPUs, and there is none here")


@pytest.mark.parametrize("way", ["parallel", "sharded"])
def test_the_adapter_is_written_whole(folder: Path, way: str) -> None:
    one, two = (load_file(folder / name / "adapter" / "adapter_model.safetensors") for name in ("one", way))
    assert {name: weight.shape for name, weight in one.items()} == {
        name: weight.shape for name, weight in two.items()
    }
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-2) for name in one)


def test_only_the_first_process_writes(folder: Path) -> None:
    first, second = (json.loads((folder / f"written-{rank}.json").read_text()) for rank in (0, 1))
    assert any(path.endswith("log.jsonl") for path in first)
    # Each process saves its own random state.
    assert {Path(path).name for path in second} <= {"rng_state_1.pth"}
    assert len(losses(folder / "parallel")) == 4
