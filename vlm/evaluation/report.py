"""Write a report as JSON and as a self-contained HTML page with images of hits and misses."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..atomic import write_text
from ..errors import AssistantError
from ..grounding import Box, parse
from .metrics import HIT

# The number of hits and of misses shown per suite, and the longer side of an image in pixels.
SHOWN = 8
LONG_SIDE = 320

ReadImage = Callable[[str], Image.Image | None]


def write_report(report: dict[str, Any], path: Path, read: ReadImage) -> None:
    """Write the report as JSON to `path` and as a page next to it, each atomically.

    `read` opens an image of the dataset by its name, or returns None.

    Raises:
        AssistantError: the files cannot be written.
    """
    write_json(report, path)
    _write(page_path(path), _page(report, read))


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON, atomically.

    Raises:
        AssistantError: the file cannot be written.
    """
    _write(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise AssistantError(f"cannot write {path}: {error.strerror}; name another --out") from error


def page_path(path: Path) -> Path:
    """Return the path of the page of the report at `path`."""
    return path.with_suffix(".html")


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without the answers."""
    tasks = {
        name: {key: value for key, value in result.items() if key != "answers"}
        for name, result in report["tasks"].items()
    }
    return {**report, "tasks": tasks}


def _page(report: dict[str, Any], read: ReadImage) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # data and answers are text, never markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = {
        name: [_example(row, read) for row in _examples(result["answers"])]
        for name, result in report["tasks"].items()
    }
    return environment.get_template("report.html.jinja").render(report=report, shown=shown)


def _examples(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return some of the best and worst answers, with ties broken by a fixed seed."""
    mixed = random.Random(0).sample(rows, len(rows))
    ranked = sorted(mixed, key=lambda row: -row["quality"])
    return ranked if len(ranked) <= 2 * SHOWN else ranked[:SHOWN] + ranked[-SHOWN:]


def _example(row: dict[str, Any], read: ReadImage) -> dict[str, Any]:
    image = read(row["image"])
    found = parse(row["raw"])
    return {
        **row,
        "hit": row["quality"] >= HIT,
        "source": image and _thumbnail(image),
        "answered": found.text,
        "found": [_rectangle(box.bins) for box in found.boxes],
        "right": [_rectangle(bins) for bins in row["wanted_boxes"]],
        "wanted": list(dict.fromkeys(row["wanted"])),
    }


def _thumbnail(image: Image.Image) -> str:
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    content = BytesIO()
    image.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _rectangle(bins: Sequence[int]) -> dict[str, int]:
    box = Box(*bins)
    return {"x": box.x0, "y": box.y0, "width": box.x1 - box.x0, "height": box.y1 - box.y0}
