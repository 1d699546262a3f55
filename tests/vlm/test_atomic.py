"""Files and folders that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.vlm.atomic import replacing, write_text


def test_a_file_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for text in ("first", "sécond"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with replacing(tmp_path / "adapter") as folder:
        folder.mkdir()
        (folder / "weights").write_text("1")
        assert not (tmp_path / "adapter").exists()
    assert (tmp_path / "adapter" / "weights").read_text() == "1"


def interrupted(path: Path) -> None:
    with replacing(path) as scratch:
        scratch.write_text("sec")
        raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_text(path, "first")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
