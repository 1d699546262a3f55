"""Pictures that people send: kept if they are some, told of in one line if not.

The fields take any file: a browser knows a picture by the ending of its name, and refuses those without one.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamlit.typing import UploadedFile

from assistant.storage import StoredImage
from assistant.vlm.errors import AssistantError
from assistant.vlm.pictures import open_picture

from . import resources, state
from .state import SessionId


def add_uploads(session_id: SessionId, files: Iterable[UploadedFile]) -> tuple[list[StoredImage], list[str]]:
    """Keep the pictures that were sent; return them, and a line for each file that is none.

    A session that was exported as JSON is kept and opened.
    """
    added: list[StoredImage] = []
    complaints: list[str] = []
    for file in files:
        try:
            if file.getvalue()[:1] == b"{":
                state.open_session(resources.store().import_json(file.getvalue()).id)
                continue
            # A name that ends in .png proves nothing.
            added.append(resources.store().add_image(open_picture(file.getvalue())))
        except AssistantError as error:
            complaints.append(f"{file.name}: {str(error).removeprefix('the picture: ')}")
    state.add_pictures(session_id, added)
    return added, complaints


__all__ = ["add_uploads"]
