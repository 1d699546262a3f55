"""What several commands do with pictures: open one, read a region of it, write an answer's drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from .output import note

if TYPE_CHECKING:
    from ...agent.turn import TurnResult
    from ...vlm.grounding import Box
    from ...vlm.pictures import Picture


def open_shown(source: Path | str | bytes) -> Picture:
    """Open a picture, and say on stderr what was done to it.

    Raises:
        ImageError: it cannot be read.
    """
    from ...vlm.pictures import open_picture

    picture = open_picture(source)
    for remark in picture.notes:
        note(f"Note: {remark}")
    return picture


def tell_missing_confidence(result: TurnResult) -> None:
    """Say on stderr that nobody knows how sure a model is of its boxes, where that is so."""
    scores = [box.score for phrase in result.phrases for box in phrase.boxes]
    if scores and all(score is None for score in scores):
        note("Note: the model's server does not tell how sure it is of its boxes.")


def read_region(text: str, picture: Picture) -> Box:
    """Read `x0,y0,x1,y1` in pixels of the picture.

    Raises:
        ValueError: it is something else, or no region of the picture; the message goes behind the option's
            name.
    """
    from ...vlm.regions import pixel_box

    try:
        x0, y0, x1, y1 = (float(value) for value in text.strip().strip("[]()").split(","))
    except ValueError:
        raise ValueError(f"wants four numbers x0,y0,x1,y1, not {text!r}") from None
    return pixel_box((x0, y0, x1, y1), picture.width, picture.height)


def check_drawing(path: Path) -> None:
    """Refuse a place for a drawing that cannot be written, before anybody has worked for it.

    Raises:
        ValueError: the name is no picture's; the message goes behind the option's name.
        AssistantError: the folder is not there, or what draws is not installed.
    """
    require("drawing", "a picture with its boxes")
    from PIL import Image

    from ...vlm.pictures import FORMATS

    if Image.registered_extensions().get(path.suffix.lower()) not in FORMATS:
        raise ValueError(f"{path}: end the name in .png or .jpg")
    if not path.parent.is_dir():
        raise AssistantError(f"there is no folder {path.parent} to save the picture in: make it first")


def drawings_in(folder: Path, pictures: Sequence[str]) -> dict[str, Path]:
    """Return where the drawings of several pictures go: into the folder, which is made, by their own names.

    Raises:
        ValueError: the name is a picture's; the message goes behind the option's name.
        AssistantError: the folder cannot be made, or what draws is not installed.
    """
    if folder.suffix and not folder.is_dir():
        raise ValueError(f"{folder}: name a folder for the drawings of several pictures")
    require("drawing", "a picture with its boxes")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AssistantError(f"cannot make {folder}: {error.strerror}") from error
    places: dict[str, Path] = {}
    for number, name in enumerate(pictures, 1):
        place = folder / f"{Path(name).stem}.png"
        places[name] = place if place not in places.values() else place.with_stem(f"{place.stem}-{number}")
    return places


def save_drawing(picture: Picture, result: TurnResult, path: Path) -> None:
    """Write the picture with the boxes of an answer, and say so on stderr.

    Raises:
        AssistantError: it cannot be written.
    """
    from ..render import draw

    try:
        draw(picture.image, result.phrases).save(path)
    except OSError as error:
        raise AssistantError(f"cannot write {path}: {error}") from error
    note(f"Saved {path}")


__all__ = ["check_drawing", "open_shown", "read_region", "save_drawing"]
