"""Threads on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from assistant.vlm.engine import threads


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with eight cores; restores the number of threads."""
    before = torch.get_num_threads()
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("running", "most", "expected"),
    [(1, 8, 8), (1, 4, 4), (4, 8, 5), (8, 8, 1), (40, 8, 1)],
)
def test_the_free_cores_are_used(
    running: int, most: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = tmp_path / "loadavg"
    load.write_text(f"3.00 2.00 1.00 {running}/200 4442\n", encoding="ascii")
    monkeypatch.setattr(threads, "_LOAD", load)
    monkeypatch.setattr(threads, "_MAX_THREADS", most)
    threads.use_free_cores()
    assert torch.get_num_threads() == expected


def test_without_a_load_to_read_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "none")
    monkeypatch.setattr(threads, "_MAX_THREADS", 8)
    before = torch.get_num_threads()
    threads.use_free_cores()
    assert torch.get_num_threads() == before
