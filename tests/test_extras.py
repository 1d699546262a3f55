"""What is installed only for some uses: where it is imported, and what is said where it is missing."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from assistant.vlm import extras
from assistant.vlm.errors import AssistantError

from .test_house import BELOW, ROOT, imported, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Where the modules of each extra are imported; nothing else may do without the extra.
AT_HOME = {
    "langchain": {"agent/tool_calling_planner.py"},
    "langgraph": {"agent/graph.py"},
    "supervision": {"vlm/drawing.py", "vlm/display.py"},
    "pandas": {"vlm/display.py"},
    "pycocoevalcap": {"vlm/evaluation/captions.py"},
    "mcp": {"tools/mcp_server.py"},
    "openai": {"vlm/engine/server.py"},
    "streamlit": {"ui/page"},
    "markdown_it": {"ui/page"},
    "tensorboard": {"vlm/training/progress.py"},
    "pillow_heif": {"vlm/pictures/formats.py"},
    "nltk": {"vlm/evaluation/wups.py"},
    "vllm": {"vlm/vllm_plugin"},
}
# Come with an extra, and are imported by its own modules alone.
ABROAD = {"cv2", "matplotlib", "scipy", "av", "pyarrow"}


def at_home(path: Path, homes: set[str]) -> bool:
    return any(path.is_relative_to(ROOT / home) for home in homes)


@pytest.mark.parametrize("room", BELOW)
def test_what_an_extra_brings_is_imported_only_for_what_needs_it(room: str) -> None:
    astray = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(room)
        for line, name in imported(path)
        if (top := name.split(".")[0]) in ABROAD or not at_home(path, AT_HOME.get(top, {"."}))
    ]
    assert astray == []


def test_every_extra_that_is_asked_for_exists() -> None:
    assert PROJECT["name"] == extras.DISTRIBUTION
    assert set(extras._MODULES) <= set(PROJECT["optional-dependencies"])
    table = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\| `(\w+)` \|", table)) == set(PROJECT["optional-dependencies"])


def test_the_package_is_never_called_by_a_strangers_name() -> None:
    hint = re.compile(r"pip install [^\n]*?(?<![-\w])assistant(?![-\w])")
    texts = [
        *ROOT.glob("*.md"),
        *(path for room in (*BELOW, "docs", "examples") for path in (ROOT / room).rglob("*")),
    ]
    wrong = [
        str(path.relative_to(ROOT))
        for path in texts
        if path.suffix in (".py", ".md") and hint.search(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize("extra", extras._MODULES)
def test_a_missing_extra_is_one_line_with_the_remedy(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if extra != "vllm":  # brings gigabytes: `dev` leaves it out
        extras.require(extra, "this")
    monkeypatch.setitem(sys.modules, extras._MODULES[extra][-1], None)
    with pytest.raises(AssistantError) as caught:
        extras.require(extra, "this")
    assert str(caught.value) == f"this needs an extra: pip install 'visual-assistant[{extra}]'"
