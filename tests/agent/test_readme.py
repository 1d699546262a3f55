"""The examples of the agent's README run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant.vlm.vision_language_model import VisionLanguageModel

from ..tools.fakes import SAMPLES
from ..ui.fakes import ScriptedEngine

README = Path(__file__).parents[2] / "agent" / "README.md"


def test_the_readmes_example_asks_and_asks_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine()
    monkeypatch.setattr(VisionLanguageModel, "load", lambda _: VisionLanguageModel(engine))
    (tmp_path / "photo.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(code[0], {})
    assert capsys.readouterr().out == "The dog is on the left.\n"
    assert engine.requests[-1].argument == "what colour is the dog?"


def test_the_links_of_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
