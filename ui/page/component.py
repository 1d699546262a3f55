"""Elements of the page that are written in JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

BROWSER = Path(__file__).parent / "browser"
# The modules are fetched from the server, so that they can import one another. Streamlit runs this again
# whenever the page changes; `end` undoes what the last run did.
_LOAD = """
const module = import(new URL('browser/%s.js', document.baseURI))
export default function (component) {
  let end, gone = false
  module.then(({ default: show }) => { if (!gone) end = show(component) })
  return () => { gone = true; end?.() }
}
"""


def component(name: str, html: str) -> Any:
    """Register the element whose script and style are `browser/NAME.js` and `.css`; return what mounts it."""
    style = (BROWSER / f"{name}.css").read_text(encoding="utf-8")
    return st.components.v2.component(f"assistant_{name}", html=html, css=style, js=_LOAD % name)


def nothing() -> None:
    """Streamlit keeps a component's value only where somebody listens to it."""


__all__ = ["BROWSER", "component", "nothing"]
