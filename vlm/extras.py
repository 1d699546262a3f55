"""The distribution's extras (optional dependencies)."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import AssistantError

DISTRIBUTION = "visual-assistant"
"""The name under which pip knows this package, which is imported as `assistant`."""

# The modules of each extra that this package imports; `pyproject.toml` lists all.
_MODULES = {
    "agents": ("langchain", "langgraph"),
    "drawing": ("cv2", "supervision"),
    "evaluation": ("pycocoevalcap",),
    "mcp": ("mcp",),
    "notebook": ("pandas",),
    "page": ("streamlit",),
    "postgresql": ("psycopg",),
    "remote": ("openai",),
    "vllm": ("vllm",),
}


def require(extra: str, what: str) -> None:
    """Check that an extra is installed.

    Raises:
        AssistantError: it is not; the message begins with `what`, which needs it.
    """
    if any(find_spec(module) is None for module in _MODULES[extra]):
        raise AssistantError(f"{what} needs an extra: pip install '{DISTRIBUTION}[{extra}]'")
