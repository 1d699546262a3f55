"""A conversion that is stopped leaves nothing, and the next one of a killed one starts from the beginning."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.vlm.released.conversion import convert_released

from .released_files import EVA_VIT, HEADS, checkpoint_state, write_checkpoint, write_llama

# Runs the command, and waits in the midst of its writing for a signal.
SCRIPT = f"""
import sys, time
from contextlib import contextmanager
from assistant.ui import cli
from assistant.ui.commands import models

@contextmanager
def bar():
    # Short sleeps: a signal just before a sleep is noticed after it.
    yield lambda done, total: (print("writing", flush=True), [time.sleep(0.1) for _ in range(6000)])

models._bar = bar
sys.argv = ["assistant", "models", "convert", *sys.argv[1:], "--heads", "{HEADS}"]
cli.main()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_written_goes_at_once_or_with_the_next_conversion(tmp_path: Path, sent: int) -> None:
    files = write_llama(tmp_path / "llama"), EVA_VIT, tmp_path / "checkpoint.pth"
    write_checkpoint(files[2], checkpoint_state())
    arguments = [*map(str, files), str(tmp_path / "ours")]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == "writing\n"
        assert (tmp_path / "ours.partial" / "model-00001.safetensors").is_file()
        running.send_signal(sent)
        _, complaint = running.communicate()
    assert running.returncode == (-sent if sent == signal.SIGKILL else 128 + sent)
    assert "Traceback" not in complaint
    left = ["ours.partial"] if sent == signal.SIGKILL else []
    assert sorted(path.name for path in tmp_path.glob("ours*")) == left
    convert_released(*files, tmp_path / "ours", heads=HEADS)
    assert sorted(path.name for path in tmp_path.glob("ours*")) == ["ours"]
