"""Export a session's boxes and images for training detectors: YOLO and Pascal VOC.

A person's corrections replace the model's boxes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from math import ceil, floor
from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from .images import ImageFolder
from .records import LabelledBox, SessionSummary, StoredImage, StoredTurn, distinct_images, labelled_boxes

Boxes = Sequence[LabelledBox]


def yolo(_: SessionSummary, turns: Sequence[StoredTurn], folder: ImageFolder) -> bytes:
    """Return a zip archive of `images/`, `labels/` with one text file per image, and `data.yaml`.

    Each line has the class number, then the box's centre, width and height as fractions of the image.
    """
    boxes = _by_image(turns)
    names = sorted({box.name for found in boxes.values() for box in found})
    numbers = {name: number for number, name in enumerate(names)}

    def label(image: StoredImage, found: Boxes) -> str:
        return "".join(f"{numbers[box.name]} {_fractions(box, image)}\n" for box in found)

    quoted = "".join(f'  {number}: "{_escaped(name)}"\n' for name, number in numbers.items())
    extra = {"data.yaml": f"path: .\ntrain: images\nval: images\nnames:\n{quoted}".encode()}
    return _archive(boxes, folder, "images", "labels", ".txt", label, extra)


def pascal_voc(_: SessionSummary, turns: Sequence[StoredTurn], folder: ImageFolder) -> bytes:
    """Return a zip archive of `JPEGImages/` and XML `Annotations/`; pixel coordinates start at 1."""
    boxes = _by_image(turns)

    def annotation(image: StoredImage, found: Boxes) -> str:
        root = Element("annotation")
        SubElement(root, "folder").text = "JPEGImages"
        SubElement(root, "filename").text = folder.file(image).name
        _fill(SubElement(root, "size"), {"width": image.width, "height": image.height, "depth": 3})
        for box in found:
            item = SubElement(root, "object")
            _fill(item, {"name": box.name, "pose": "Unspecified", "truncated": 0, "difficult": 0})
            left, top, right, bottom = box.corners
            corners = {"xmin": floor(left) + 1, "ymin": floor(top) + 1}
            corners |= {"xmax": ceil(right), "ymax": ceil(bottom)}
            _fill(SubElement(item, "bndbox"), corners)
        indent(root)
        return tostring(root, encoding="unicode")

    return _archive(boxes, folder, "JPEGImages", "Annotations", ".xml", annotation, {})


def _by_image(turns: Sequence[StoredTurn]) -> dict[StoredImage, list[LabelledBox]]:
    found: dict[StoredImage, list[LabelledBox]] = {image: [] for image in distinct_images(turns)}
    for turn in turns:
        if turn.image:
            found[turn.image] += [box for box in labelled_boxes(turn) if box.has_area]
    return {
        image: list({(box.name, box.corners): box for box in boxes}.values())
        for image, boxes in found.items()
    }


def _archive(
    boxes: dict[StoredImage, list[LabelledBox]],
    folder: ImageFolder,
    images: str,
    labels: str,
    ending: str,
    write: Callable[[StoredImage, Boxes], str],
    extra: dict[str, bytes],
) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for image, found in boxes.items():
            file = PurePath(folder.file(image).name)
            archive.writestr(f"{images}/{file}", _upright(folder.load(image)))
            archive.writestr(f"{labels}/{file.with_suffix(ending)}", write(image, found))
        for name, content in extra.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _upright(content: bytes) -> bytes:
    """Return an image file with the EXIF orientation applied to its pixels, as boxes expect.

    Programs that train detectors differ in whether they apply EXIF themselves.
    """
    try:
        picture = Image.open(BytesIO(content))
    except UnidentifiedImageError:  # HEIC, which neither Pillow nor these programs read
        return content
    if picture.getexif().get(Base.Orientation, 1) == 1:
        return content
    turned, buffer = ImageOps.exif_transpose(picture), BytesIO()
    turned.save(buffer, picture.format, quality=95)
    return buffer.getvalue()


def _fractions(box: LabelledBox, image: StoredImage) -> str:
    left, top, right, bottom = box.corners
    across, down = (left + right) / 2 / image.width, (top + bottom) / 2 / image.height
    values = (across, down, (right - left) / image.width, (bottom - top) / image.height)
    return " ".join(f"{value:.6f}" for value in values)


def _fill(element: Element, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        SubElement(element, name).text = str(value)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
