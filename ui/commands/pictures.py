"""Image helpers that several commands share: open, parse a region, save an annotated copy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from .output import note, write_whole

if TYPE_CHECKING:
    from ...storage import StoredTurn
    from ...vlm.grounding import Box
    from ...vlm.pictures import Picture


def open_shown(source: Path | str | BinaryIO) -> Picture:
    """Open an image, and print notes about it on stderr.

    Raises:
        ImageError: it cannot be read.
    """
    from ...vlm.pictures import open_picture

    picture = open_picture(source)
    for remark in picture.notes:
        note(f"Note: {remark}")
    return picture


def note_missing_scores(turn: StoredTurn) -> None:
    """Print a note on stderr if no box has a score."""
    scores = [box.score for step in turn.steps for box in step.boxes]
    if scores and all(score is None for score in scores):
        note("Note: the model's server reports no scores for its boxes.")


def read_region(text: str, picture: Picture) -> Box:
    """Parse `x0,y0,x1,y1` in pixels of the image.

    Raises:
        ValueError: it is malformed, or outside the image; the message follows the option's name.
    """
    from ...vlm.regions import pixel_box, read_corners

    return pixel_box(read_corners(text), picture.width, picture.height)


def check_drawing(path: Path, picture: str | Path | None) -> None:
    """Check that an annotated copy of the file `picture` can be written to `path`, before the model runs.

    Raises:
        ValueError: the name is not an image's, or is `picture` itself; the message follows the option's name.
        AssistantError: the folder does not exist, or the `drawing` extra is not installed.
    """
    require("drawing", "an image with its boxes")
    from PIL import Image

    from ...vlm.pictures import FORMATS

    if Image.registered_extensions().get(path.suffix.lower()) not in FORMATS:
        raise ValueError(f"{path}: end the name in .png or .jpg")
    if picture is not None and _is_same(path, picture):
        raise ValueError(f"{path} is the image itself: name another file")
    if not path.parent.is_dir():
        raise AssistantError(f"there is no folder {path.parent} to save the image in: make it first")


def drawings_in(folder: Path, pictures: Sequence[str]) -> dict[str, Path]:
    """Create the folder, and return a path in it for the annotated copy of each image.

    Raises:
        ValueError: the name is a file's; the message follows the option's name.
        AssistantError: the folder cannot be created, or the `drawing` extra is not installed.
    """
    if folder.suffix and not folder.is_dir():
        raise ValueError(f"{folder}: name a folder for the drawings of several images")
    require("drawing", "an image with its boxes")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AssistantError(f"cannot make {folder}: {error.strerror}") from error
    places: dict[str, Path] = {}
    for number, name in enumerate(dict.fromkeys(pictures), 1):
        stem = Path(name).stem
        candidates = (
            folder / f"{stem}{ending}.png" for ending in chain([""], map("-{}".format, count(number)))
        )
        places[name] = next(
            place
            for place in candidates
            if place not in places.values() and not any(_is_same(place, picture) for picture in pictures)
        )
    return places


def _is_same(path: Path, picture: str | Path) -> bool:
    """Return whether both are one existing file."""
    try:
        return path.samefile(picture)
    except (OSError, ValueError):
        return False


def save_drawing(picture: Picture, turn: StoredTurn, path: Path) -> None:
    """Save the image with the boxes of an answer, and print its path on stderr.

    Raises:
        AssistantError: it cannot be written.
    """
    from PIL import Image

    from ...vlm.drawing import draw

    drawn = io.BytesIO()
    image = draw(picture.image, turn.phrases)
    image.save(drawn, Image.registered_extensions()[path.suffix.lower()])
    write_whole(path, drawn.getvalue())
    note(f"Saved {path}")
