"""As many threads as there are cores without other work: two that share a core wait for each other."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_LOAD = Path("/proc/loadavg")  # Linux alone has it
_SAMPLES = 3  # what runs for a moment is not work
_MOST = torch.get_num_threads()  # what the person set, or else torch


def use_free_cores() -> None:
    """Have this thread compute on the free cores: on one at least, on no more than torch was set to."""
    if _MOST == 1 or not _LOAD.exists():
        return
    busy = min(_others_running() for _ in range(_SAMPLES))
    torch.set_num_threads(max(1, min(_MOST, (os.cpu_count() or 1) - busy)))


def _others_running() -> int:
    """Return how many other threads of the machine run or wait for a core."""
    time.sleep(0.001)
    running, _, _ = _LOAD.read_text(encoding="ascii").split()[3].partition("/")
    return int(running) - 1


__all__ = ["use_free_cores"]
