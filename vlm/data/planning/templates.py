"""Read the hand-written templates of messages in `templates/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .languages import foreign_messages

Json = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """A template of messages; `history` and `steps` are in the notation of the files."""

    name: str
    kind: str
    group: str
    message: str
    steps: str
    history: str = ""
    region: bool = False
    quoted: bool = False
    language: str = ""


def read_templates(folder: Path) -> tuple[list[Template], dict[str, list[tuple[str, str]]]]:
    """Return the templates of all files, and the clauses for joiners."""
    templates: list[Template] = []
    clauses: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        for group in data.get("group", []):
            templates += [_parse_template(line, group) for line in group["templates"].splitlines() if line]
        for kind in ("imperative", "question"):
            if "clauses" in data:
                lines = data["clauses"][kind].splitlines()
                clauses[kind] = [_clause(line) for line in lines if line]
        for line in data.get("clauses", {}).get("joiners", "").splitlines():
            if line:
                templates.append(Template(f"gen:join:{_slug(line)}", "multi-step", "join", line, ""))
        if path.stem == "languages":
            templates += [
                Template(name, "language", code, message, steps, language=code)
                for code, name, message, steps in foreign_messages(data)
            ]
    return _distinct(templates), clauses


def _clause(line: str) -> tuple[str, str]:
    message, _, steps = line.partition(" => ")
    return message, steps


def _parse_template(line: str, group: Json) -> Template:
    rest, _, steps = line.partition(" => ")
    message, _, history = rest.partition(" << ")
    return Template(
        name=f"gen:{group['name']}:{_slug(message)}",
        kind=group["kind"],
        group=group["name"],
        message=message.strip(),
        steps=steps or group.get("steps", "vqa {=}"),
        history=history,
        region=group.get("region", False),
        quoted=group.get("quoted", False),
    )


def _distinct(templates: list[Template]) -> list[Template]:
    """Number duplicate names of templates, except the fillings of one template of a language."""
    counts: Counter[str] = Counter()
    named = []
    for template in templates:
        counts[template.name] += 1
        if counts[template.name] > 1 and not template.language:
            template = replace(template, name=f"{template.name}-{counts[template.name]}")
        named.append(template)
    return named


def _slug(message: str) -> str:
    return "-".join(re.findall(r"[a-z0-9']+", message.lower())[:7]) or "empty"
