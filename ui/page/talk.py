"""What the whole talk has: its end stays in view, answers can be copied, keys stand for buttons."""

from __future__ import annotations

from .component import component

_mount = component(
    "talk",
    """
<button class="newest" type="button" hidden>↓ Jump to newest</button>
<dialog aria-label="Keyboard shortcuts"><h2>Keyboard shortcuts</h2><dl></dl>
<form method="dialog"><button>Close</button></form></dialog>
<p role="status"></p>
""",
)


def show(asked: int) -> None:
    """Follow the talk; another number than before leads back to its end."""
    _mount(key="talk-tools", data={"newest": str(asked)}, width="content", height="content")


__all__ = ["show"]
