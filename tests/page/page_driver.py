"""Use the page in this process as a person would."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO

from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Feedback

from assistant.storage import SessionStore, StoredTurn
from assistant.vlm.errors import WeightsError

Open = Callable[..., AppTest]


def send(tab: AppTest, message: str = "", *files: tuple[str, bytes]) -> AppTest:
    """Send a message with files, as the chat input does."""
    field = tab.chat_input(key="ask")
    for name, content in files:
        field = field.upload(name, content, "image/png")
    return field.set_value(message).run()


def visible_text(tab: AppTest) -> str:
    """Return all text of people and models on the page, as HTML."""
    return "\n".join(element.value for element in tab.html)


def session_of(tab: AppTest) -> str:
    """Return the session id in the tab's URL."""
    value = tab.query_params["session"]
    return value if isinstance(value, str) else value[0]


def only_session(store: SessionStore) -> str:
    [session] = store.list_sessions()
    return session.id


def thumbs(tab: AppTest) -> Feedback:
    """Return the thumbs of the last answer."""
    return tab.feedback[-1]


def draw_box(tab: AppTest, picture: bytes, corners: list[int]) -> AppTest:
    """Draw a box on a picture before the first question about it."""
    box = {"corners": corners, "asked": 0}
    tab.session_state[f"picture-{hashlib.sha256(picture).hexdigest()[:12]}"] = {"box": box}
    return tab.run()


def two_pictures(picture: bytes) -> list[tuple[str, bytes]]:
    other = BytesIO()
    Image.new("RGB", (60, 40), "blue").save(other, "PNG")
    return [("a.png", picture), ("b.png", other.getvalue())]


def widths(turns: list[StoredTurn]) -> list[int]:
    return [turn.image.width for turn in turns if turn.image]


def no_weights(_: str) -> None:
    raise WeightsError("the weights cannot be had")
