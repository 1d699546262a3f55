"""The hand-written patterns of messages, as they stand in `carriers/*.toml`."""

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
class Carrier:
    """A pattern of messages; `history` and `steps` are in the notation of the carriers' files."""

    name: str
    kind: str
    group: str
    message: str
    steps: str
    history: str = ""
    region: bool = False
    quoted: bool = False
    language: str = ""


def read_carriers(folder: Path) -> tuple[list[Carrier], dict[str, list[tuple[str, str]]]]:
    """Return the carriers of all files, and the clauses that joiners join."""
    carriers: list[Carrier] = []
    clauses: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        for group in data.get("group", []):
            carriers += [_carrier(line, group) for line in group["carriers"].splitlines() if line]
        for kind in ("imperative", "question"):
            if "clauses" in data:
                lines = data["clauses"][kind].splitlines()
                clauses[kind] = [_clause(line) for line in lines if line]
        for line in data.get("clauses", {}).get("joiners", "").splitlines():
            if line:
                carriers.append(Carrier(f"gen:join:{_slug(line)}", "multi-step", "join", line, ""))
        if path.stem == "languages":
            carriers += [
                Carrier(name, "language", code, message, steps, language=code)
                for code, name, message, steps in foreign_messages(data)
            ]
    return _distinct(carriers), clauses


def _clause(line: str) -> tuple[str, str]:
    message, _, steps = line.partition(" => ")
    return message, steps


def _carrier(line: str, group: Json) -> Carrier:
    rest, _, steps = line.partition(" => ")
    message, _, history = rest.partition(" << ")
    return Carrier(
        name=f"gen:{group['name']}:{_slug(message)}",
        kind=group["kind"],
        group=group["name"],
        message=message.strip(),
        steps=steps or group.get("steps", "vqa {=}"),
        history=history,
        region=group.get("region", False),
        quoted=group.get("quoted", False),
    )


def _distinct(carriers: list[Carrier]) -> list[Carrier]:
    """Number the names of carriers that would share one, except for a language's fillings of one carrier."""
    counts: Counter[str] = Counter()
    named = []
    for carrier in carriers:
        counts[carrier.name] += 1
        if counts[carrier.name] > 1 and not carrier.language:
            carrier = replace(carrier, name=f"{carrier.name}-{counts[carrier.name]}")
        named.append(carrier)
    return named


def _slug(message: str) -> str:
    return "-".join(re.findall(r"[a-z0-9']+", message.lower())[:7]) or "empty"


__all__ = ["Carrier", "Json", "read_carriers"]
