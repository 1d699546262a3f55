"""Errors whose message is one line with the remedy; the command line prints it and exits with 1."""

from __future__ import annotations


class AssistantError(Exception):
    """Base of every error that a user can fix."""


class WeightsError(AssistantError):
    """Weights are missing, incomplete, or another model's."""


class ImageError(AssistantError):
    """An image cannot be read."""


class ServerError(AssistantError):
    """A model server cannot be reached, refuses, or sends an unusable answer."""


class DataError(AssistantError):
    """A dataset is not in the expected format."""


def one_line(text: object, longest: int = 300) -> str:
    r"""Return untrusted text as one short line without control characters.

    >>> one_line("no such\nfile", longest=7)
    'no such…'
    """
    line = "".join(char if char.isprintable() else " " for char in str(text).strip())
    return line if len(line) <= longest else f"{line[:longest]}…"


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message, or the name of its type if the message is empty.

    >>> first_line(ValueError("no such file\nat line 3")), first_line(KeyError())
    ('no such file', 'KeyError')
    """
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return one_line(first)
