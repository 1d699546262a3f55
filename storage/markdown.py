"""Export a session as an archive of a Markdown document and its image files."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO

from ..vlm.grounding import Box
from .forms import verification_of
from .images import EXTENSIONS, ImageFolder
from .records import SessionSummary, StoredImage, StoredStep, StoredTurn, distinct_images

# Escaped in text from people and models, which must not become a link, an image or HTML.
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&$])")


def write(session: SessionSummary, turns: Sequence[StoredTurn], images: ImageFolder) -> bytes:
    """Return a zip archive of `conversation.md` and the images.

    Raises:
        ImageError: an image file is missing or was changed.
    """
    names = {
        image: f"picture-{number}.{EXTENSIONS[image.format]}"
        for number, image in enumerate(distinct_images(turns), 1)
    }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("conversation.md", "\n\n".join(_document(session, turns, names)) + "\n")
        for image, name in names.items():
            archive.writestr(name, images.load(image))
    return buffer.getvalue()


def _document(
    session: SessionSummary, turns: Sequence[StoredTurn], names: dict[StoredImage, str]
) -> Iterator[str]:
    yield f"# {_plain(session.title) or 'Conversation'}"
    yield f"Session {session.id}, started {session.created:%Y-%m-%d %H:%M} UTC, {len(turns)} turns"
    shown: StoredImage | None = None
    for turn in turns:
        yield f"## {turn.number}"
        if turn.image is not None and turn.image != shown:
            yield f"![{names[turn.image].partition('.')[0]}]({names[turn.image]})"
            shown = turn.image
        yield f"**You**{_region(turn.region)}\n\n{_quote(turn.user)}"
        ended = "ended early" if turn.stopped else ""
        made = ", ".join(filter(None, (_plain(turn.model), f"{turn.seconds:.2f} s", ended)))
        yield f"**Assistant** ({made})\n\n{_quote(turn.answer)}"
        if turn.steps:
            yield "\n".join(line for step in turn.steps for line in _step(step))


def _step(step: StoredStep) -> Iterator[str]:
    words = f"{_plain(step.name)} {_plain(step.argument)}".strip()
    yield f"- {words}{_region(step.region)}: {_plain(step.error or step.text)}"
    for phrase in step.phrases:
        boxes = "; ".join(_found(box) for box in phrase.boxes)
        yield f"  - {_plain(phrase.text) or 'here'}: {boxes}"


def _found(box: Box) -> str:
    verified = verification_of(box)
    notes = [] if box.score is None else [f"{box.score:.0%}"]
    if verified and not verified.agrees:
        notes.append(f"when checked, the model says: {_plain(verified.opinion)}")
    return _corners(box) + (f" ({'; '.join(notes)})" if notes else "")


def _region(box: Box | None) -> str:
    return "" if box is None else f" about {_corners(box)}"


def _corners(box: Box) -> str:
    """Return a box's corners as text, in hundredths of the image's width and height."""
    return f"({box.x0}, {box.y0}) to ({box.x1}, {box.y1})"


def _quote(text: str) -> str:
    """Return text as a Markdown quotation that keeps its line breaks."""
    lines = [_MARKUP.sub(r"\\\1", line) for line in text.splitlines()]
    return "> " + "  \n> ".join(lines)


def _plain(text: str) -> str:
    """Return text escaped, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
