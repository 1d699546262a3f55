"""A model accepts an image in any form, and sees it upright."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant.vlm.answers import Request
from assistant.vlm.errors import ImageError
from assistant.vlm.grounding import Box
from assistant.vlm.pictures import Source, open_picture
from assistant.vlm.tasks import Task, Turn
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..tools.fakes import FakeEngine

RED, BLUE = (255, 0, 0), (0, 0, 255)


def photo() -> bytes:
    """Return a photo as a camera held upright writes it: red above blue, stored lying on its side."""
    stored = Image.new("RGB", (40, 20), RED)
    stored.paste(BLUE, (20, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def forms(folder: Path) -> dict[str, Source]:
    path = folder / "photo"
    path.write_bytes(photo())
    return {
        "path": path,
        "text": str(path),
        "bytes": photo(),
        "bytearray": bytearray(photo()),
        "file": io.BytesIO(photo()),
        "image of a file": Image.open(path),
        "image": Image.open(path).convert("RGB"),
        "array": np.asarray(open_picture(photo()).image),
        "picture": open_picture(photo()),
    }


ASKED: dict[str, Callable[[VisionLanguageModel, Source], object]] = {
    "caption": lambda model, source: model.caption(source),
    "vqa": lambda model, source: model.vqa(source, "what colour is it?"),
    "refer": lambda model, source: model.refer(source, "the red part"),
    "detect": lambda model, source: model.detect(source, "parts"),
    "ground": lambda model, source: model.ground(source),
    "identify": lambda model, source: model.identify(source, Box(0, 0, 50, 50)),
    "chat": lambda model, source: model.chat(source, [Turn("hello")]),
}


@pytest.mark.parametrize("name", ASKED)
def test_every_form_of_a_picture_is_seen_upright(name: str, tmp_path: Path) -> None:
    engine = FakeEngine()
    for source in forms(tmp_path).values():
        ASKED[name](VisionLanguageModel(engine), source)
    seen = [request.image for request in engine.requests]
    assert len(seen) == 9
    for image in seen:
        assert (image.mode, image.size) == ("RGB", (20, 40))
        assert (image.getpixel((10, 5)), image.getpixel((10, 35))) == (RED, BLUE)


def test_a_batch_of_requests_is_seen_upright_too() -> None:
    engine = FakeEngine()
    model = VisionLanguageModel(engine)
    request = Request(Task.CAPTION, image=Image.open(io.BytesIO(photo())))
    model.generate([request, Request(None, "hello")])
    assert [item.image and item.image.size for item in engine.requests] == [(20, 40), None]


def test_a_picture_that_is_upright_is_not_copied() -> None:
    engine = FakeEngine()
    image = open_picture(photo()).image
    VisionLanguageModel(engine).caption(image)
    assert engine.requests[0].image is image


def test_what_is_no_picture_is_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    engine = FakeEngine()
    with pytest.raises(ImageError, match="there is no such file"):
        VisionLanguageModel(engine).caption(tmp_path / "missing.jpg")
    assert engine.requests == []


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_an_array_is_height_by_width_by_channels(shape: tuple[int, ...]) -> None:
    picture = open_picture(np.full(shape, 255, dtype=np.uint8))
    assert (picture.width, picture.height) == (6, 4)
    assert picture.image.getpixel((0, 0)) == (255, 255, 255)
