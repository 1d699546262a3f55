"""The examples: with an exact fake, and as a reader runs them, with a tiny model of random weights."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from langchain_core.messages import AIMessage
from nbclient import NotebookClient

from assistant.examples import mcp_client
from assistant.tools import VisionToolkit
from assistant.vlm.vision_language_model import VisionLanguageModel

from .fakes import SAMPLES, FakeEngine, calls, script
from .test_mcp import FAKE

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST = 25


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ..vlm.tiny import tiny_model, tiny_processor

    folder = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return folder


def code_of(example: Path) -> str:
    """Return the code of a script, or of all cells of a notebook."""
    if example.suffix == ".py":
        return example.read_text(encoding="utf-8")
    notebook = nbformat.read(example, as_version=4)
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def code_lines(code: str) -> int:
    """Count the lines that hold code: no imports, docstrings, comments or blanks."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (docstring or isinstance(node, ast.Import | ast.ImportFrom)):
            skipped.update(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(code.splitlines(), start=1)
    return sum(bool(line.strip()) and number not in skipped for number, line in lines)


def run(notebook: Path, model: Path) -> list[Any]:
    """Run a notebook in a kernel with a model in place of `nano`; return the last output of each code cell.

    What goes to stderr, such as progress, is no output.
    """
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        cell.source = cell.source.replace('"nano"', repr(str(model)))
    NotebookClient(content, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    return [
        next((it for it in reversed(cell.outputs) if it.get("name") != "stderr"), None)
        for cell in content.cells
        if cell.cell_type == "code"
    ]


def test_the_notebook_shows_boxes_on_the_image_and_in_other_libraries_types(tiny: Path) -> None:
    _, words, one, all_of_them, table, detections, name = run(EXAMPLES / "ask.ipynb", tiny)
    assert "Caption(text=" in words.data["text/plain"]
    for found in (one, all_of_them, name):
        assert found.data["image/png"].startswith("iVBOR")
    assert "<th>phrase</th>" in table.data["text/html"]
    assert "xyxy=array(" in detections.data["text/plain"]


def test_the_agents_notebook_runs_with_any_model(tiny: Path) -> None:
    tools, _, answer, boxes = run(EXAMPLES / "agent.ipynb", tiny)
    assert "'list_pictures'" in tools.data["text/plain"]
    assert "tool" in answer.text
    assert boxes.data["text/plain"].startswith("[")


def test_the_agent_example_answers_from_what_two_tools_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VisionLanguageModel, "load", lambda _: VisionLanguageModel(FakeEngine()))
    monkeypatch.chdir(EXAMPLES)
    exec(code_of(EXAMPLES / "agent.ipynb"), {"__name__": "notebook"})
    output = capsys.readouterr().out
    order = ["human", "['caption']", "a cat on a rug", "['refer']", "- the cat: [45.1, 60, 225.5, 300]", "ai"]
    places = [output.find(words) for words in order[:-1]] + [output.rfind(order[-1])]
    assert -1 not in places
    assert places == sorted(places)


def test_the_mcp_example_prints_the_same_findings(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(mcp_client.main(FAKE))
    output = capsys.readouterr().out
    assert "tools: caption, vqa, refer, detect, ground, identify, list_pictures" in output
    assert "caption: a cat on a rug" in output
    assert "the cat is at [45.1, 60.0, 225.5, 300.0], in hundredths [10, 20, 50, 100]" in output


def test_the_mcp_example_runs_as_a_script_with_any_model(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mcp_client.py", "--model", str(tiny)])
    runpy.run_path(str(EXAMPLES / "mcp_client.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert "caption" in output
    assert "the cat" in output
    assert "no model" not in output


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    readme = (EXAMPLES.parent / "tools" / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


def test_the_readmes_agent_runs_and_its_result_is_the_one_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VisionLanguageModel, "load", lambda _: VisionLanguageModel(FakeEngine()))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    chat_model = script(calls(("refer", {"expression": "the cat"})), AIMessage("There."))
    (code,) = blocks("python")
    setting, _, question = code.rpartition("agent.invoke")
    names: dict[str, Any] = {"chat_model": chat_model}
    exec(f"{setting}state = agent.invoke{question}", names)
    artifact = names["state"]["messages"][-2].artifact.model_dump(mode="json")
    shown = json.loads(blocks("json")[0])
    assert artifact | {"image": artifact["image"] | {"sha256": "…"}} == shown


def test_the_readmes_table_names_the_tools_and_their_arguments() -> None:
    readme = (EXAMPLES.parent / "tools" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", readme, re.MULTILINE)
    named = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    everywhere = {"image", "region"}  # is said below the table
    tools = {tool.name: set(tool.args) for tool in VisionToolkit().get_tools()}
    assert named.pop("list_pictures") == tools.pop("list_pictures") == set()
    assert {name: arguments | everywhere for name, arguments in named.items()} == tools


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir() if path.is_file()))
def test_an_example_is_short(example: str) -> None:
    assert code_lines(code_of(EXAMPLES / example)) <= LONGEST


def test_notebooks_are_kept_without_their_outputs() -> None:
    notebooks = [nbformat.read(path, as_version=4) for path in EXAMPLES.glob("*.ipynb")]
    cells = [cell for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []
