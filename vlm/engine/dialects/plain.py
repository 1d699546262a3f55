"""Any other model: asked for JSON in so many words, and held to a schema where the server can.

Boxes are asked for in thousandths of the sides, the scale that most models that were trained on boxes know.
A server that takes `response_format` with a JSON schema (OpenAI, vLLM, llama.cpp, Ollama, SGLang) can answer
in no other form.
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
    served_as=re.compile(""),
    ask=_ask,
    read=_read,
    sizes=within(1344),
    schema=_schema,
)

__all__ = ["PLAIN"]
