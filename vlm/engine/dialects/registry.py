"""Find the dialect of a served model."""

from __future__ import annotations

from ...errors import AssistantError
from .base import Dialect
from .florence import FLORENCE
from .gemma import GEMMA, PALIGEMMA
from .internvl import INTERNVL
from .moondream import MOONDREAM
from .ours import OURS
from .plain import PLAIN
from .qwen import QWEN2_5_VL, QWEN3_VL

# The first match wins; the plain dialect matches every name.
DIALECTS = {
    dialect.name: dialect
    for dialect in (
        QWEN2_5_VL,
        QWEN3_VL,
        INTERNVL,
        PALIGEMMA,
        GEMMA,
        FLORENCE,
        MOONDREAM,
        OURS,
        PLAIN,
    )
}


def dialect_named(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises:
        AssistantError: there is no such dialect.
    """
    if name not in DIALECTS:
        raise AssistantError(f"no dialect {name!r}: name one of {', '.join(DIALECTS)}")
    return DIALECTS[name]


def dialect_of(model: str) -> Dialect:
    """Return the dialect of a model by its name on the server."""
    return next(dialect for dialect in DIALECTS.values() if dialect.model_names.search(model))
