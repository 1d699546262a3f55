"""Run the command line in this process, with a scripted model and a temporary home folder."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assistant.ui import cli
from assistant.ui.commands import evaluation, model_options, options
from assistant.vlm.engine import language_model
from assistant.vlm.generation_options import DEFAULT_OPTIONS
from assistant.vlm.models.presets import DEFAULT_MODEL
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from .fakes import ScriptedEngine

# Warnings that Python hides by default.
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command; `err` includes the warnings, one per line."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The text on stderr, without the frame and line breaks of a usage error."""
        return " ".join(re.sub(r"\x1b\[[\d;]*m|[─│╭╮╰╯]", "", self.err).split())


Command = Callable[..., Result]


class Stdin(io.TextIOWrapper):
    """Bytes on stdin, from a pipe or as typed at a terminal."""

    def __init__(self, content: bytes, *, typed: bool) -> None:
        super().__init__(io.BytesIO(content))
        self._typed = typed

    def isatty(self) -> bool:
        return self._typed


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The default database of the commands."""
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image of 640 x 480."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (640, 480), "white").save(path)
    return path


@pytest.fixture
def command(
    engine: ScriptedEngine, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `assistant` with arguments and bytes on stdin; only the default model is scripted."""
    monkeypatch.setenv("ASSISTANT_DB", str(database))
    monkeypatch.setenv("ASSISTANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("ASSISTANT_DEBUG", raising=False)

    def load_model(name: str, *chosen: Any, **more: Any) -> VisionLanguageModel:
        if name == DEFAULT_MODEL:
            return VisionLanguageModel(engine, more.get("options", DEFAULT_OPTIONS))
        return options.load_model(name, *chosen, **more)

    monkeypatch.setattr(language_model, "default_language_model", PlanWriter)
    for module in (model_options, evaluation):
        monkeypatch.setattr(module, "load_model", load_model)

    def run(*arguments: object, stdin: bytes = b"", typed: bool = False) -> Result:
        monkeypatch.setattr(sys, "argv", ["assistant", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", Stdin(stdin, typed=typed))
        return _run()

    return run


def _run() -> Result:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            cli.main()
            code: object = 0
        except SystemExit as exit_:
            code = exit_.code or 0
    shown = [f"{item.category.__name__}: {item.message}\n" for item in warned if item.category not in QUIET]
    output, complaints = (stream.detach().getvalue().decode() for stream in (out, err))
    assert isinstance(code, int)
    return Result(code, output, complaints + "".join(shown))
