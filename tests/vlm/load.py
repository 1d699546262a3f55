"""What the tests under load share: how many ask, one who gives up, and a broken image."""

from __future__ import annotations

import io

from PIL import Image

ASKERS = 32
REQUESTS = 500


def broken_picture() -> Image.Image:
    """Return an image whose file was cut, which shows when its pixels are read."""
    file = io.BytesIO()
    Image.effect_noise((400, 300), 90).save(file, "PNG")
    return Image.open(io.BytesIO(file.getvalue()[: file.tell() // 2]))


class Impatient:
    """Stops at the first word."""

    def __init__(self) -> None:
        self.text = ""

    def on_text(self, _request: int, raw: str) -> None:
        self.text = raw

    def should_stop(self) -> bool:
        return bool(self.text)
