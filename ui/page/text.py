"""Show untrusted text of people, files and models verbatim: never as Markdown or HTML."""

from __future__ import annotations

import html
import re

import streamlit as st

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: str, longest: int = 200) -> str:
    """Escape a text to one line for a Markdown label, truncated to `longest` characters."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return _PUNCTUATION.sub(r"\\\1", line)


def paragraph(text: str, *, is_growing: bool = False, can_be_copied: bool = False) -> None:
    """Show a text verbatim with its line breaks; screen readers announce one that `is_growing`."""
    growing = ' role="status" data-growing' if is_growing else ""
    copy = (
        '<button class="copy" aria-label="Copy answer" title="Copy answer"></button>' if can_be_copied else ""
    )
    st.html(f'<p class="said"{growing}>{html.escape(text)}</p>{copy}')


def table(rows: list[tuple[str, str]]) -> None:
    """Show (term, value) rows; empty values are left out."""
    items = "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(value)}</dd>" for term, value in rows if value
    )
    st.html(f'<dl class="facts">{items}</dl>')
