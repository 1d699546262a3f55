"""The settings popover: which model answers, and whether it checks its boxes."""

from __future__ import annotations

import streamlit as st

from assistant.vlm.models.presets import PRESETS

from . import settings, state


def show() -> None:
    """Show the preferences of this tab."""
    wanted = state.preferences()
    with st.popover("Settings", icon=":material/tune:", type="tertiary", width="stretch", key="settings"):
        models = list(dict.fromkeys([settings.model_name(), *PRESETS]))
        st.selectbox(
            "Model",
            models,
            index=models.index(wanted.model),
            on_change=_keep,
            args=("model",),
            key="wanted-model",
        )
        st.toggle(
            "Check every box",
            value=wanted.verify,
            help="Ask the model again what it sees in each box that it found. Takes longer.",
            on_change=_keep,
            args=("verify",),
            key="wanted-verify",
        )


def _keep(name: str) -> None:
    state.set_preferences(**{name: st.session_state[f"wanted-{name}"]})
