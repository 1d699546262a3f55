"""Any other model: the prompt asks for JSON, and a schema enforces it if the server can.

Coordinates are in thousandths of the sides, the scale of most models trained on boxes. A server that takes
`response_format` with a JSON schema (OpenAI, vLLM, llama.cpp, Ollama, SGLang) answers in no other form.
"""

from __future__ import annotations

import re
from typing import Any

from ...answers import Request
from .base import Dialect, Reading, Size, within
from .json_boxes import Form, ask, read, schema

_FORM = Form("box")


def _ask(request: Request, size: Size) -> str:
    return ask(request, size, _FORM, "in coordinates from 0 to 1000 relative to the image, x before y")


def _read(request: Request, text: str, size: Size) -> Reading:
    return read(request, text, size, _FORM)


def _schema(request: Request) -> dict[str, Any] | None:
    return schema(request, _FORM)


PLAIN = Dialect(
    name="plain",
    model_names=re.compile(""),
    ask=_ask,
    read=_read,
    sizes=within(1344),
    schema=_schema,
)

__all__ = ["PLAIN"]
