"""Adapt the documents to the site: a link out of `docs/` leads nowhere there, so only its text stays."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text without links out of the folder."""
    return _OUTSIDE.sub(r"\1", markdown)
