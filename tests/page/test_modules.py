"""The page's JavaScript: its types, and the modules that run without the page."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Page

from assistant.ui.page.component import BROWSER


def test_the_types_of_the_modules_agree() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("no TypeScript compiler (npm install --global typescript) checks the page's modules here")
    found = subprocess.run([compiler, "-p", str(BROWSER)], capture_output=True, text=True, timeout=120)
    assert found.stdout == ""


@pytest.fixture
def run(page: Page, address: str) -> Any:
    """Run code with one of the modules in a browser."""
    page.goto(f"{address}/browser/corners.js")

    def evaluate(module: str, code: str) -> Any:
        return page.evaluate(f"async () => {{ const it = await import('/browser/{module}.js'); {code} }}")

    return evaluate


def test_boxes_are_dragged_within_the_picture(run: Any) -> None:
    size = "{ width: 100, height: 50 }"
    whole, right = "{ across: 0, down: 0 }", "{ across: 1, down: 0 }"
    assert run("corners", f"return it.adjusted([10, 10, 30, 20], {whole}, [90, -20], {size})") == [
        80,
        0,
        100,
        10,
    ]
    assert run("corners", f"return it.adjusted([10, 10, 30, 20], {right}, [-25, 9], {size})") == [
        5,
        10,
        10,
        20,
    ]
    assert run("corners", f"return it.span([70, 60], [-5, 10], {size})") == [0, 10, 70, 50]
    assert run("corners", "return it.gripAt([0, 0, 90, 90], [88, 45], 9)") == {"across": 1, "down": 0}
    assert run("corners", "return it.gripAt([0, 0, 90, 90], [120, 45], 9)") is None


def test_changes_are_undone_and_redone_until_the_next_change(run: Any) -> None:
    steps = "const all = new it.History('a'); all.add('b'); all.add('c'); all.go(-1);"
    assert run("history", f"{steps} return [all.value, all.canUndo, all.canRedo]") == ["b", True, True]
    assert run("history", f"{steps} all.go(1); all.go(1); return all.value") == "c"
    assert run("history", f"{steps} all.add('d'); return [all.value, all.canRedo]") == ["d", False]


def test_the_smallest_visible_box_under_the_pointer_is_picked(run: Any) -> None:
    marks = """const marks = [
      { text: 'snow', corners: [0, 0, 100, 100], score: 0.9 },
      { text: 'dog', corners: [10, 10, 40, 40], score: 0.3 },
    ];"""
    assert run("boxes", f"{marks} return it.markAt(marks, [20, 20], () => true)") == 1
    assert run("boxes", f"{marks} return it.markAt(marks, [20, 20], mark => mark.score > 0.5)") == 0
    assert run("boxes", f"{marks} return it.markAt(marks, [200, 20], () => true)") is None
    assert run("boxes", f"{marks} return marks.map(mark => it.labelOf(mark, 0.5))") == [
        "snow 90%",
        "dog unsure, 30%",
    ]
