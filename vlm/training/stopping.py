"""On SIGINT or SIGTERM, finish the step and save a checkpoint to resume from."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .progress import LogLine

Handler = Callable[[int, FrameType | None], object] | int | None

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStoppedError(Exception):
    """A signal stopped the run after saving it; the message says how to resume."""


class StopOnSignal(TrainerCallback):
    """Stops after the current step, with a checkpoint; a second signal stops at once.

    A context manager that handles the signals inside its block. All processes stop after the same step,
    whichever of them gets the signal first.
    """

    def __init__(self, log_line: LogLine) -> None:
        self._process = os.getpid()
        self._log_line = log_line
        self._stop_requested = False
        self._before: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():  # only it may handle signals
            self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def on_step_end(
        self, args: TrainingArguments, _state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Make the Trainer save and stop if any process got a signal."""
        if self._any_process_stops(args.device):
            control.should_save = control.should_training_stop = True

    def _any_process_stops(self, device: torch.device) -> bool:
        if not torch.distributed.is_initialized():
            return self._stop_requested
        stops = torch.tensor(int(self._stop_requested), device=device)
        torch.distributed.all_reduce(stops)
        return bool(stops)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._restore()
            if number == signal.SIGTERM:  # Ctrl-C reaches data workers too, while the run still needs them
                signal.raise_signal(number)
            return
        self._stop_requested = True
        self._restore()
        self._log_line("stopping after this step; a second signal stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
