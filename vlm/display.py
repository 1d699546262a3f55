"""Show results in terminals and notebooks, and convert them to supervision and pandas."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from .extras import require

if TYPE_CHECKING:
    import pandas
    import supervision

    from .grounding import Box, GroundedPhrase

COLUMNS = ("phrase", "x0", "y0", "x1", "y1", "score")
"""The columns of `to_pandas`: corners in pixels; `score` is a probability 0..1, or NaN if unknown."""


class Boxed(Protocol):
    """A result with an image and phrases in it."""

    @property
    def image(self) -> Image.Image | None:
        """The image that the boxes belong to, upright and in RGB."""

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The phrases with their boxes, in reading order."""


class ShowsBoxes:
    """Mixin of results with boxes: a drawing in notebooks, and the boxes in other libraries' types."""

    def _repr_png_(self: Boxed) -> bytes | None:
        """Return the image with its boxes as PNG; None (Jupyter shows text) without image or `drawing`."""
        if self.image is None:
            return None
        try:
            from .drawing import draw
        except ImportError:
            return None
        buffer = io.BytesIO()
        draw(self.image, self.phrases).save(buffer, "PNG")
        return buffer.getvalue()

    def to_supervision(self: Boxed) -> supervision.Detections:
        """Return the boxes as supervision's `Detections`, in the order written.

        `xyxy` is in pixels, `class_id` the phrase's index, `data["class_name"]` the phrase; `confidence` is
        None unless every box has a score.

        Raises:
            AssistantError: the extra `drawing` is not installed.
            ValueError: the result has no image, so that its boxes have no size in pixels.
        """
        require("drawing", "`to_supervision()`")
        import numpy as np
        import supervision

        rows = list(_rows(self))
        if not rows:
            return supervision.Detections.empty()
        scores = [box.score for _, _, box, _ in rows]
        return supervision.Detections(
            xyxy=np.array([corners for *_, corners in rows], dtype=np.float32),
            confidence=None if None in scores else np.array(scores, dtype=np.float32),
            class_id=np.array([index for index, *_ in rows]),
            data={"class_name": np.array([text for _, text, *_ in rows])},
        )

    def to_pandas(self: Boxed) -> pandas.DataFrame:
        """Return a table with a row per box, in the order written; see `COLUMNS`.

        Raises:
            AssistantError: the extra `notebook` is not installed.
            ValueError: the result has no image, so that its boxes have no size in pixels.
        """
        require("notebook", "`to_pandas()`")
        import pandas

        rows = [(text, *corners, box.score) for _, text, box, corners in _rows(self)]
        table = pandas.DataFrame(rows, columns=list(COLUMNS))
        return table.astype(dict.fromkeys(COLUMNS[1:], float))


def _rows(result: Boxed) -> Iterator[tuple[int, str, Box, tuple[float, float, float, float]]]:
    """Yield for every box: the phrase's index and text, the box, and its corners in pixels."""
    if result.image is None:
        raise ValueError("this result has no image: construct it with `image=`")
    for index, phrase in enumerate(result.phrases):
        for box in phrase.boxes:
            yield index, phrase.text, box, box.to_pixels(*result.image.size)


RichRepr = Iterator[Any]
"""What `__rich_repr__` yields: values, or (name, value, default), omitted at the default."""
