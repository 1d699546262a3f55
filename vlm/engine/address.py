"""The address of a model server, as `--model` takes it: `http://host:8000/v1?dialect=qwen3-vl#model-name`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from ..errors import AssistantError

_SCHEMES = ("http://", "https://")
_MOONDREAM_PORT = 2020
_MOONDREAM_HOST = "api.moondream.ai"


@dataclass(frozen=True)
class Address:
    """A server's URL, the model to use (None: its only one), and the dialect if given."""

    url: str
    model: str | None = None
    dialect: str | None = None

    def __str__(self) -> str:
        query = f"?dialect={self.dialect}" if self.dialect else ""
        return f"{self.url}{query}" + (f"#{self.model}" if self.model else "")

    @property
    def host(self) -> str:
        """The host's name."""
        return urlsplit(self.url).hostname or ""


def is_address(model: str) -> bool:
    """Return whether a model's name is the address of a server."""
    return model.lower().startswith(_SCHEMES)


def read_address(text: str) -> Address:
    """Read an address; one without a path gets the usual `/v1`.

    Raises:
        AssistantError: the text is not an address, or contains a password or an unknown setting.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise AssistantError(f"{text!r} is not an address: {error}") from error
    if "@" in parts.netloc:  # it would be stored with every answer
        raise AssistantError("a model's address takes no password: set ASSISTANT_API_KEY")
    if not is_address(text.strip()) or not parts.hostname:
        raise AssistantError(f"{text!r} is not an address: write it as http://host:8000/v1#model-name")
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    dialect = settings.pop("dialect", None) or None
    if settings:
        raise AssistantError(f"a model's address takes only ?dialect=…, not {', '.join(sorted(settings))}")
    path = parts.path.rstrip("/") or "/v1"
    if dialect is None and (port == _MOONDREAM_PORT or parts.hostname == _MOONDREAM_HOST):
        dialect = "moondream"
    url = urlunsplit((parts.scheme.lower(), parts.netloc, path, "", ""))
    return Address(url, unquote(parts.fragment) or None, dialect)


def with_dialect(model: str, dialect: str | None) -> str:
    """Return a model's address with the chosen dialect.

    Raises:
        ValueError: the model is not behind an address, or its address names another dialect.
    """
    if dialect is None:
        return model
    if not is_address(model):
        raise ValueError("is for a model behind an address, such as --model http://host:8000/v1")
    address = read_address(model)
    if address.dialect not in (None, dialect):
        raise ValueError(f"{dialect!r} conflicts with the address, which names {address.dialect!r}")
    return str(Address(address.url, address.model, dialect))
