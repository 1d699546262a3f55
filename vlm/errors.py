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


__all__ = ["AssistantError", "DataError", "ImageError", "ServerError", "WeightsError"]
