"""Compute on idle cores only: threads that share a core wait for each other."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_LOAD = Path("/proc/loadavg")  # only on Linux
_SAMPLES = 3  # to ignore what runs only for a moment
_MAX_THREADS = torch.get_num_threads()  # set by the user, or by torch


def use_free_cores() -> None:
    """Let this thread compute on the idle cores: at least one, and no more than torch was set to."""
    if _MAX_THREADS == 1 or not _LOAD.exists():
        return
    busy = min(_others_running() for _ in range(_SAMPLES))
    torch.set_num_threads(max(1, min(_MAX_THREADS, (os.cpu_count() or 1) - busy)))


def _others_running() -> int:
    """Return how many other threads on the machine are running or waiting for a core."""
    time.sleep(0.001)
    running, _, _ = _LOAD.read_text(encoding="ascii").split()[3].partition("/")
    return int(running) - 1


__all__ = ["use_free_cores"]
