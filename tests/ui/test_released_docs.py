"""Run every command of docs/released.md in order, on small files in the released layout."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from ..test_docs import commands
from ..vlm.released_files import EVA_VIT, checkpoint_state, write_checkpoint, write_llama
from ..vlm.test_evaluation_published import WRITERS
from ..vlm.tiny import picture
from .conftest import Command

# Extra options for the small files: their weights do not determine the head count, and steps take time.
MORE = {"convert": ["--heads", "2"], "train": ["--steps", "1"]}


def write_files(folder: Path) -> None:
    write_llama(folder / "Llama-2-7b-chat-hf")
    (folder / "eva_vit_g.pth").symlink_to(EVA_VIT)
    write_checkpoint(folder / "minigptv2_checkpoint.pth", checkpoint_state())
    picture(0).save(folder / "photo.jpg")
    row = {"image": "photo.jpg", "task": "caption", "answer": "a dog is running"}
    (folder / "own.jsonl").write_text(json.dumps(row) + "\n")
    WRITERS["iconvqa"](folder / "datasets", lambda rows: rows)


def test_every_command_of_the_document_works(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = commands(Path("docs/released.md"))
    assert len(lines) == 11
    outputs = []
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        result = command(*words, *MORE.get(words[0], []), *MORE.get(words[1], []))
        assert result.code == 0, (line, result.err)
        outputs.append(result.out)
    assert "iconvqa" in outputs[2]
    assert "LoRA of rank 4" in outputs[3]
    assert "minigpt-v2: a model" in outputs[4]
    assert "51.50" in outputs[2]
    assert (tmp_path / "mine.pth").is_file()
