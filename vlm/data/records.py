"""The one form that every data set is brought to: a picture, and a conversation over it in terms of tasks.

What is asked stays apart from its words: a task, a phrase or question, a region. The words are drawn from the
task's templates when an example is built, anew each time.
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
    """Where a picture lies: a file, or `size` bytes from `offset` on in one (a member of a tar file).

    With `part`, that part of it alone is looked at, as of a region that somebody asks about.
    """

    path: str
    offset: int = 0
    size: int | None = None
    part: Box | None = None

    def read(self) -> Image.Image:
        """Return the picture, or the part of it, in RGB, upright.

        Raises:
            DataError: there is none, or it is damaged.
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
            raise DataError(f"{self.path}: {error.strerror}; is the data still where it was?") from error
        except ImageError as error:
            place = "" if self.size is None else f"{self.path}, byte {self.offset}: "
            raise DataError(f"{place}{error}") from error


@dataclass(frozen=True)
class TaskTurn:
    """One exchange: what is asked, and the answer to learn in the language of boxes.

    `task` is None for free conversation, where `argument` is what the person says. `words` are said in place
    of the task's template, for conversations that were published in words.
    """

    task: Task | None
    argument: str
    answer: str
    region: Box | None = None
    words: str | None = None

    def __post_init__(self) -> None:
        if not self.answer.strip():
            raise ValueError("there is no answer to learn")
        if self.words is None:
            instruction(self.task, self.argument, self.region)  # what the task cannot do without is there
        if self.task is None and not (self.words or self.argument).strip():
            raise ValueError("nothing is asked")
        box = self.answer == ABSENT_ANSWER or is_well_formed_box(self.answer)
        if self.task is Task.REFER and self.words is None and not box:
            raise ValueError(f"[refer] is answered by one box or {ABSENT_ANSWER!r}, not by {self.answer!r}")


@dataclass(frozen=True)
class Record:
    """A conversation over a picture, or over none; later turns see the earlier ones."""

    picture: ImageReference | None
    turns: tuple[TaskTurn, ...]

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("a record needs at least one turn")
        task = next((turn.task for turn in self.turns if turn.task is not None), None)
        if self.picture is None and task is not None:
            raise ValueError(f"{task.identifier} is about a picture, and there is none")


__all__ = ["ImageReference", "Record", "TaskTurn"]
