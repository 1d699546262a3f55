"""Print the disk space of an installation: PyTorch with its requirements, and the rest of the core.

    python benchmarks/installed_size.py

Sums the files of the installed distributions that the core requires, so it runs in any environment, even one
with extras.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from assistant.vlm.extras import DISTRIBUTION


def required(name: str, extras: frozenset[str] = frozenset(), found: set[str] | None = None) -> set[str]:
    """Return a distribution and those that it requires, directly or not."""
    found = set() if found is None else found
    found.add(name.lower().replace("_", "-"))
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})
        if wanted and requirement.name.lower().replace("_", "-") not in found:
            required(requirement.name, frozenset(requirement.extras), found)
    return found


def megabytes(names: set[str]) -> float:
    """Return the size of the distributions' files in MB."""
    total = 0
    for name in names:
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            continue
        places = (Path(file.locate()) for file in files)
        total += sum(place.stat().st_size for place in places if place.is_file())
    return total / 1e6


if __name__ == "__main__":
    torch = required("torch")
    rest = required(DISTRIBUTION) - torch
    print(f"PyTorch and what it requires: {megabytes(torch):.0f} MB in {len(torch)} distributions")
    print(f"all else of the core: {megabytes(rest):.0f} MB in {len(rest)} distributions")
