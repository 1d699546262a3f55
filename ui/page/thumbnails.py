"""The thumbnails component: pick one of the session's pictures."""

from __future__ import annotations

from collections.abc import Sequence

from .component import component, nothing

_mount = component("thumbnails", '<div class="strip" role="group"></div>')


def show_thumbnails(urls: Sequence[str], current: int, key: str) -> int | None:
    """Show thumbnails by URL with `current` highlighted; return the index just clicked, if any."""
    data = {"urls": list(urls), "current": current, "label": "Pictures of this session"}
    result = _mount(key=key, data=data, on_picked_change=nothing, width="stretch")
    picked: int | None = result.picked
    return picked
