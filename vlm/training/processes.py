"""The processes that torchrun started for one run."""

from __future__ import annotations

import os

import torch


def processes() -> int:
    """Return how many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first_process() -> bool:
    """Return whether this is the process, of those that torchrun started, that writes and tells."""
    return int(os.environ.get("RANK", 0)) == 0


def leave_processes() -> None:
    """End what torchrun's processes share, once all of them are done.

    A process that merely exits may be aborted by a thread of it, and the run be called a failure.
    """
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


__all__ = ["is_first_process", "leave_processes", "processes"]
