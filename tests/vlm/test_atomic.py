"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import os
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
    for name in ("weights", "others"):
        with replacing(tmp_path / "adapter") as folder:
            folder.mkdir()
            (folder / name).write_text("1")
            assert (tmp_path / "adapter" / "weights").exists() == (name == "others")
        assert [path.name for path in (tmp_path / "adapter").iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_file_takes_the_place_of_no_folder(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_text(tmp_path / "folder", "text")
    assert (tmp_path / "folder" / "inner").is_dir()


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


def test_a_link_is_followed_and_a_device_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    write_text(Path(os.devnull), "new")
    assert not Path(os.devnull).is_file()
