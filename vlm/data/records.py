"""The common form of all datasets: an image, and a conversation about it as tasks.

A record stores the task, its phrase or question and its region, not the wording: that is drawn from the
task's templates every time an example is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import DataError, ImageError
from ..grounding import Box, is_well_formed_box
from ..pictures import open_picture
from ..regions import crop
from ..tasks import ABSENT_ANSWER, Task, instruction


@dataclass(frozen=True)
class ImageReference:
    """The location of an image: a file, or `size` bytes from `offset` in one (a member of a tar file).

    With `part`, the image is cropped to that box, as for a question about a region.
    """

    path: str
    offset: int = 0
    size: int | None = None
    part: Box | None = None

    def read(self) -> Image.Image:
        """Return the image, cropped to `part`, in RGB, upright.

        Raises:
            DataError: it is missing or damaged.
        """
        image = self._whole()
        return image if self.part is None else crop(image, self.part)

    def _whole(self) -> Image.Image:
        try:
            if self.size is None:
                return open_picture(self.path).image
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                return open_picture(file.read(self.size)).image
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}; was the data moved?") from error
        except ImageError as error:
            place = "" if self.size is None else f"{self.path}, byte {self.offset}: "
            raise DataError(f"{place}{error}") from error


@dataclass(frozen=True)
class TaskTurn:
    """One question and its answer, in which boxes are written as text.

    `task` is None for free conversation, where `argument` is the user's message. `words` replace the task's
    template, for conversations that were published with their wording. `further` are other people's
    answers; every example draws one of all.
    """

    task: Task | None
    argument: str
    answer: str
    region: Box | None = None
    words: str | None = None
    further: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.answer.strip():
            raise ValueError("the answer is empty")
        if self.words is None:
            instruction(self.task, self.argument, self.region)  # raises if a part is missing
        if self.task is None and not (self.words or self.argument).strip():
            raise ValueError("the question is empty")
        box = self.answer == ABSENT_ANSWER or is_well_formed_box(self.answer)
        if self.task is Task.REFER and self.words is None and not box:
            raise ValueError(f"answer [refer] with one box or {ABSENT_ANSWER!r}, not {self.answer!r}")


@dataclass(frozen=True)
class Record:
    """A conversation about an image, or without one; later turns see the earlier ones."""

    picture: ImageReference | None
    turns: tuple[TaskTurn, ...]

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("a record needs at least one turn")
        task = next((turn.task for turn in self.turns if turn.task is not None), None)
        if self.picture is None and task is not None:
            raise ValueError(f"{task.identifier} needs an image")
