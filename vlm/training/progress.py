"""Log a run: loss by task, samples and tokens per second, to a file and as lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import is_tensorboard_available

from ..data.collator import NO_TASK, TASKS

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TASK_NAMES = (*("chat" if task is None else task.value for task in TASKS), "planning", "written")
"""The names of the indices in a batch's `tasks`; the last is for generated answers."""

_MEANS = [f"{what}_{name}" for what in ("loss", "reward") for name in TASK_NAMES]
_REWARDS = ("rewards", "rewarded")

LogLine = Callable[[str], None]


def print_to_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)


def discard(_line: str) -> None:
    """Log nothing: only the first process logs."""


class Meter:
    """Accumulates losses by task, rewards, samples and tokens between two log lines."""

    def __init__(self) -> None:
        self._sums = torch.zeros(4 * len(TASK_NAMES) + 2, dtype=torch.double)
        self._start = time.perf_counter()

    def add(
        self, inputs: dict[str, torch.Tensor], seen: dict[str, torch.Tensor], logits: torch.Tensor
    ) -> None:
        """Add a batch; `logits` (labelled positions, vocabulary) predict its labels.

        `seen` holds `tasks` (batch, length) and, for generated answers, their `rewards` and task indices
        `rewarded` (answers).
        """
        tasks = seen["tasks"]
        answered = tasks[:, 1:] != NO_TASK
        labels, of_task = inputs["labels"][:, 1:][answered], tasks[:, 1:][answered]
        with torch.no_grad():
            losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none").double()
        sums = [_by_task(losses, of_task), _by_task(*(seen.get(name, losses[:0]) for name in _REWARDS))]
        # An answer is a contiguous run of labels.
        answers = (answered & (tasks[:, :-1] == NO_TASK)).sum()
        # Padding and the first token of each row are at position 0.
        tokens = (inputs["position_ids"] > 0).sum() + len(tasks)
        counted = torch.stack([answers, tokens]).double()
        self._sums = torch.cat([*sums, counted]) + self._sums.to(tasks.device)

    def take(self) -> dict[str, float]:
        """Return the figures of all processes since the last call, and reset."""
        sums, seconds = self._sums, time.perf_counter() - self._start
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        *by_task, samples, tokens = sums.tolist()
        pairs = zip(_MEANS, by_task[::2], by_task[1::2], strict=True)
        figures = {name: total / count for name, total, count in pairs if count}
        figures["samples_per_second"] = samples / seconds
        figures["tokens_per_second"] = tokens / seconds
        self._sums, self._start = torch.zeros_like(sums), time.perf_counter()
        return figures


class RunLog(TrainerCallback):
    """Writes each log line to `log.jsonl` and, if installed, TensorBoard, and passes it to `log_line`."""

    def __init__(self, out: Path, log_line: LogLine) -> None:
        self.path = out / "log.jsonl"
        self._log_line = log_line
        self._board: SummaryWriter | None = None
        self._start = time.perf_counter()
        self._first_step = 0

    def on_train_begin(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Drop lines and points after the checkpoint, so that the log reads like one run."""
        self._board = _board(self.path.parent / "tensorboard", state.global_step + 1)
        self._start, self._first_step = time.perf_counter(), state.global_step
        if self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.path.write_text(
                "".join(line for line in lines if _step(line) <= state.global_step), encoding="utf-8"
            )

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Log one line."""
        if logs is None or "loss" not in logs:
            return
        figures = {name: value for name, value in logs.items() if name != "epoch"}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step} | figures) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, state.global_step)
            self._board.flush()
        self._log_line(self._line(state, figures))

    def _line(self, state: TrainerState, figures: dict[str, float]) -> str:
        losses = [f"{name} {figures[f'loss_{name}']:.2f}" for name in TASK_NAMES if f"loss_{name}" in figures]
        losses += [
            f"{name} reward {figures[f'reward_{name}']:.3f}"
            for name in TASK_NAMES
            if f"reward_{name}" in figures
        ]
        done = state.global_step - self._first_step
        left = (time.perf_counter() - self._start) / done * (state.max_steps - state.global_step)
        return (
            f"step {state.global_step}/{state.max_steps}: loss {figures['loss']:.3f} ({', '.join(losses)}), "
            f"{figures['samples_per_second']:.1f} samples/s, {figures['tokens_per_second']:.0f} tokens/s, "
            f"{_duration(left)} left"
        )


def _by_task(values: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
    """Return the sum and count of the values of each task, interleaved (2 x tasks)."""
    values = values.double()
    sums = torch.zeros(len(TASK_NAMES), 2, dtype=torch.double, device=values.device)
    sums.index_add_(0, tasks.long().to(values.device), torch.stack([values, torch.ones_like(values)], dim=1))
    return sums.flatten()


def _board(folder: Path, first_step: int) -> SummaryWriter | None:
    """Return a TensorBoard writer that drops points from `first_step` on; None without TensorBoard."""
    if not is_tensorboard_available():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)


def _step(line: str) -> int:
    """Return the step of a log line; a truncated line gets a huge step, so that it is dropped."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{rest} s"
