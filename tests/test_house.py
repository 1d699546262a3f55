"""The architecture: imports between packages, packaging, lengths, and light imports."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A package imports only from the packages named here.
BELOW = {
    "ui": {"agent", "storage", "tools", "vlm"},
    "agent": {"tools", "storage", "vlm"},
    "tools": {"vlm"},
    "storage": {"vlm"},
    "vlm": set(),
}
# Libraries that a package must not import; agent/ uses langgraph but draws and stores nothing.
FOREIGN = {
    "vlm": {"langchain", "langchain_core", "langgraph", "streamlit", "sqlalchemy", "alembic", "typer", "mcp"},
    "storage": {"langchain", "langchain_core", "langgraph", "streamlit", "torch", "transformers", "typer"},
    "tools": {"streamlit", "sqlalchemy", "alembic", "typer"},
    "agent": {"streamlit", "sqlalchemy", "alembic", "typer"},
}
HEAVY = {"torch", "transformers", "peft", "onnx", "langchain", "langchain_core", "langgraph", "streamlit"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full dotted name of everything that a module of ours imports."""
    package = ("assistant", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*origin, node.module)) if node.module else ".".join(origin)
            # `from .. import tools` names a package only together with what is imported.
            yield from ((node.lineno, f"{base}.{item.name}") for item in node.names)


def upward(package: str) -> list[str]:
    allowed = BELOW[package] | {package}
    found = []
    for path in modules(package):
        for line, name in imported(path):
            parts = name.split(".")
            if parts[0] == "assistant" and len(parts) > 1 and parts[1] in BELOW and parts[1] not in allowed:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_from_packages_below_it(package: str) -> None:
    assert upward(package) == []


@pytest.mark.parametrize("package", FOREIGN)
def test_a_package_imports_no_library_of_another(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for line, name in imported(path)
        if name.split(".")[0] in FOREIGN[package]
    ]
    assert found == []


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import assistant.ui.cli", "assistant.ui.cli"),
        ("from assistant import ui", "assistant.ui"),
        ("from ...agent.plan import Plan", "assistant.agent.plan.Plan"),
        ("from .. import errors", "assistant.vlm.errors"),
        ("from .photos import Photo", "assistant.vlm.data.photos.Photo"),
        ("def late():\n    from ...tools import x", "assistant.tools.x"),
    ],
)
def test_every_form_of_import_is_seen(
    statement: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    module = tmp_path / "vlm" / "data" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text(statement)
    assert [found for _, found in imported(module)] == [name]


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a method in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def test_no_library_is_let_run_code_from_a_folder() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for package in (*BELOW, "benchmarks", "examples")
        for path in modules(package)
        for name, switch, safe in (
            ("from_pretrained", "trust_remote_code", False),
            ("load", "weights_only", True),
        )
        for call in calls(path, name)
        if name != "load" or ast.unparse(call.func) == "torch.load"
        if not any(
            given.arg == switch and isinstance(given.value, ast.Constant) and given.value.value is safe
            for given in call.keywords
        )
    ]
    assert found == []


def test_every_package_is_distributed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packaged = set(project["tool"]["setuptools"]["packages"])
    folders = {
        path.parent.relative_to(ROOT) for package in BELOW for path in (ROOT / package).rglob("__init__.py")
    }
    assert {".".join(("assistant", *folder.parts)) for folder in folders} <= packaged
    assert [name for name in packaged if not ROOT.joinpath(*name.split(".")[1:]).is_dir()] == []


def test_every_data_file_is_distributed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    distributed = {
        path
        for name, patterns in project["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*name.split(".")[1:]).glob(pattern)
    }
    kinds = {".css", ".jinja", ".jpg", ".js", ".json", ".jsonl", ".mako", ".safetensors", ".svg", ".toml"}
    held = {path for package in BELOW for path in (ROOT / package).rglob("*") if path.suffix in kinds}
    assert held - distributed == set()


def test_every_folder_with_a_module_is_a_package() -> None:
    # Alembic runs its migrations as scripts, by their path.
    loose = {
        str(path.parent.relative_to(ROOT))
        for package in BELOW
        for path in modules(package)
        if not (path.parent / "__init__.py").is_file() and "migrations" not in path.parts
    }
    assert loose == set()


@pytest.mark.parametrize(
    "module", ["assistant", "assistant.vlm", "assistant.vlm.grounding", "assistant.vlm.tasks"]
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps([name for name in sys.modules if '.' not in name]))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert HEAVY.intersection(json.loads(loaded.stdout)) == set()


def imported_modules(path: Path) -> set[str]:
    """Return the modules of ours that a module imports, also for its types and in its functions."""
    names = (name for _, name in imported(path))
    return {name if name in OURS else name.rpartition(".")[0] for name in names} & OURS.keys()


OURS = {
    ".".join(("assistant", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for package in BELOW
    for path in modules(package)
}


def circles(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the modules that import one another in a circle, or lead to such, with what they import."""
    left = {name: needed - {name} for name, needed in imports.items()}
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    return {name: needed & left.keys() for name, needed in left.items()}


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Nor do imports in functions hide one."""
    imports = {name: imported_modules(path) for name, path in OURS.items()}
    assert len(imports) > 200
    assert circles(imports) == {}


def test_the_page_takes_nothing_from_the_commands() -> None:
    found = [name for path in modules("ui/page") for name in imported_modules(path) if ".commands." in name]
    assert found == []


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in OURS.items()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert statistics.median(lengths.values()) <= 150


def test_no_function_has_more_than_50_lines_of_code() -> None:
    """Without its docstring and its parameters, which a command has many of."""
    long = []
    for path in OURS.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                code = node.body[1:] if ast.get_docstring(node) else node.body
                if code and (code[-1].end_lineno or 0) - code[0].lineno >= 50:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert long == []


def test_the_drawing_shows_every_package() -> None:
    drawing = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "vlm").glob("*/__init__.py")]
    assert [name for name in (*BELOW, *packages) if name not in drawing] == []


def test_the_reference_names_modules_that_exist() -> None:
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    named = [
        line.removeprefix("::: ") for page in pages for line in page.splitlines() if line.startswith(":::")
    ]
    assert len(named) > 30
    assert [name for name in named if name not in OURS] == []
