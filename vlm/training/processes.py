"""The processes of a run under torchrun."""

from __future__ import annotations

import os

import torch


def processes() -> int:
    """Return how many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first_process() -> bool:
    """Return whether this process writes files and logs."""
    return int(os.environ.get("RANK", 0)) == 0


def leave_processes() -> None:
    """Wait for all processes and close their process group.

    Without this, a background thread may abort a process at its exit and fail the run.
    """
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
