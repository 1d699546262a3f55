"""A page of its own and a visitor of it; run as `visiting.py NAME PICTURE MESSAGE...`.

Prints the sessions that the visitor was shown, and the one in which the messages were asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

from assistant.tests.page.page_driver import send, session_of
from assistant.ui.commands.page import PAGE
from assistant.ui.page import conversation, visitors


def main(name: str, picture: str, *messages: str) -> None:
    """Open the page and ask all messages, the first with the picture."""
    visitors.current = lambda _: f"user {name}"  # type: ignore[assignment]
    conversation.POLL_SECONDS = 1000  # every run shows its answer
    tab = AppTest.from_file(str(PAGE), default_timeout=1200).run()
    shown = [str(button.key).removeprefix("open-") for button in tab.button if str(button.key)[:5] == "open-"]
    files = [("picture.png", Path(picture).read_bytes())]
    for message in messages:
        send(tab, message, *files)
        files = []
    assert not tab.exception
    print(json.dumps({"shown": shown, "session": session_of(tab) if messages else None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
