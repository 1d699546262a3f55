"""Streamlit components written in JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

BROWSER = Path(__file__).parent / "browser"
# Modules are loaded from the server, so that they can import each other. Streamlit calls this on every rerun;
# `end` cleans up after the previous call.
_LOAD = """
const module = import(new URL('browser/%s.js', document.baseURI))
export default function (component) {
  let end, gone = false
  module.then(({ default: show }) => { if (!gone) end = show(component) })
  return () => { gone = true; end?.() }
}
"""


def component(name: str, html: str) -> Any:
    """Register a component with `browser/NAME.js` and `NAME.css`; return the function that mounts it."""
    style = (BROWSER / f"{name}.css").read_text(encoding="utf-8")
    return st.components.v2.component(f"assistant_{name}", html=html, css=style, js=_LOAD % name)


def nothing() -> None:
    """Do nothing: Streamlit keeps a component's value only if it has a callback."""
