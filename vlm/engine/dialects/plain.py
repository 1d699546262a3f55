"""Any other model: the prompt asks for JSON, and a schema enforces it if the server can.

Coordinates are in thousandths of the sides, the scale of most models trained on boxes. A server that takes
`response_format` with a JSON schema (OpenAI, vLLM, llama.cpp, Ollama, SGLang) answers in no other form.
"""

from __future__ import annotations

import re

from .base import Dialect, within
from .json_boxes import Form

_FORM = Form("box", "in coordinates from 0 to 1000 relative to the image, x before y")

PLAIN = Dialect(
    name="plain",
    model_names=re.compile(""),
    ask=_FORM.ask,
    read=_FORM.read,
    sizes=within(1344),
    schema=_FORM.schema,
)
