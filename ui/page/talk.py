"""Conversation helpers in the browser: auto-scroll, copy buttons and keyboard shortcuts."""

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
    """Keep the end of the conversation in view; a new value of `asked` scrolls back to it."""
    _mount(key="talk-tools", data={"newest": str(asked)}, width="content", height="content")
