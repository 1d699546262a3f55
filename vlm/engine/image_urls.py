"""Images as data URLs, as the OpenAI chat API takes them."""

from __future__ import annotations

import base64
import io

from PIL import Image

_JPEG_QUALITY = 92


def data_url(image: Image.Image, size: tuple[int, int], *, lossless: bool = False) -> str:
    """Return an image, resized to (width, height) in pixels, as a JPEG, or as a PNG if `lossless`."""
    resized = image.convert("RGB")
    if resized.size != size:
        resized = resized.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        resized.save(buffer, "PNG", compress_level=1)  # a higher level is slow and saves little
    else:
        resized.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
