"""Store uploaded images, and report other files in one line each.

The upload fields accept any file: browsers filter by extension, which rejects images without one.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamlit.typing import UploadedFile

from assistant.storage import StoredImage
from assistant.vlm.errors import AssistantError
from assistant.vlm.pictures import open_picture

from . import limits, resources, state
from .state import SessionId


def add_uploads(session_id: SessionId, files: Iterable[UploadedFile]) -> tuple[list[StoredImage], list[str]]:
    """Store uploaded images; return them, and an error line for each file that is not one.

    A session exported as JSON is imported and opened.
    """
    added: list[StoredImage] = []
    complaints: list[str] = []
    for file in files:
        try:
            content = file.getvalue()
            limits.check_room(resources.store(), len(content))
            if content[:1] == b"{":
                state.open_session(resources.store().import_json(content).id)
                continue
            # By content: the extension proves nothing.
            added.append(resources.store().add_image(open_picture(content)))
        except AssistantError as error:
            complaints.append(f"{file.name}: {str(error).removeprefix('the image: ')}")
    state.add_pictures(session_id, added)
    return added, complaints
