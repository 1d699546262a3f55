"""What can go wrong, said in one line with the remedy; the command line prints these and exits with 1."""

from __future__ import annotations


class AssistantError(Exception):
    """Base of every error that a user can do something about."""


class WeightsError(AssistantError):
    """Weights are missing, incomplete, or not those of the model."""


class ImageError(AssistantError):
    """A picture cannot be read."""


class ServerError(AssistantError):
    """A model's server cannot be reached, refuses, or answers what is no answer."""


class DataError(AssistantError):
    """A data set is not in the form that was promised."""


def one_line(text: object, longest: int = 300) -> str:
    """Return foreign text as one line, cut, that a terminal shows and does not obey."""
    line = "".join(sign if sign.isprintable() else " " for sign in str(text).strip())
    return line if len(line) <= longest else f"{line[:longest]}…"


__all__ = ["AssistantError", "DataError", "ImageError", "ServerError", "WeightsError"]
__all__ += ["one_line"]
