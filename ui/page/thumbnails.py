"""An element of the page: small pictures in a row, one of which is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from .component import component, nothing

_mount = component("thumbnails", '<div class="strip" role="group"></div>')


def show_thumbnails(urls: Sequence[str], current: int, key: str) -> int | None:
    """Show pictures by their URLs, marking one; return the index of the one just picked, if any."""
    data = {"urls": list(urls), "current": current, "label": "Pictures of this session"}
    result = _mount(key=key, data=data, on_picked_change=nothing, width="stretch")
    picked: int | None = result.picked
    return picked


__all__ = ["show_thumbnails"]
