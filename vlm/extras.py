"""What only some uses need, and is installed only for them: the extras of the distribution."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import AssistantError

DISTRIBUTION = "visual-assistant"
"""The name under which pip knows this package, which is imported as `assistant`."""

# What each extra brings that is imported here; `pyproject.toml` has the rest.
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
    """Refuse what an extra is needed for, where that is not installed.

    Raises:
        AssistantError: it is not; `what`, the subject of the sentence, is what needs it.
    """
    if any(find_spec(module) is None for module in _MODULES[extra]):
        raise AssistantError(f"{what} needs an extra: pip install '{DISTRIBUTION}[{extra}]'")


__all__ = ["DISTRIBUTION", "require"]
