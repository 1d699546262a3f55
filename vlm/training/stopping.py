"""Ctrl-C, or the signal that ends a job: the step is finished and saved, and the run can go on later."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .progress import LogLine

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStoppedError(Exception):
    """A run was stopped by a signal and saved; the message says how it goes on."""


class StopOnSignal(TrainerCallback):
    """Stops after the step at hand, with a checkpoint; a second signal is obeyed at once.

    A context manager: the signals are caught inside it. All processes stop after the same step, whichever
    of them was told first.
    """

    def __init__(self, log_line: LogLine) -> None:
        self._process = os.getpid()
        self._log_line = log_line
        self._wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():  # the only one that may catch signals
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def on_step_end(
        self, args: TrainingArguments, _state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Have the Trainer save and stop if a signal came to any process."""
        if self._is_agreed(args.device):
            control.should_save = control.should_training_stop = True

    def _is_agreed(self, device: torch.device) -> bool:
        if not torch.distributed.is_initialized():
            return self._wanted
        wanted = torch.tensor(int(self._wanted), device=device)
        torch.distributed.all_reduce(wanted)
        return bool(wanted)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._restore()
            if number == signal.SIGTERM:  # Ctrl-C reaches them too, while the run still needs them
                signal.raise_signal(number)
            return
        self._wanted = True
        self._restore()
        self._log_line("stopping after this step; once more stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


__all__ = ["StopOnSignal", "TrainingStoppedError"]
