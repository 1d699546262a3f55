"""The conversation: what was asked, what was answered, and how the answer came about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from assistant.agent.plan import CHAT
from assistant.storage import Feedback, StoredImage, StoredStep, StoredTurn
from assistant.vlm.grounding import Box, GroundedPhrase

from . import resources, state
from .exports import phrases
from .text import paragraph, plain, table

# How many of the last turns are shown before somebody wants to see more.
SHOWN = 20
_THUMBNAIL = 140
_SCROLL = """<script>
[...document.querySelectorAll('[data-testid="stChatMessage"]')].at(-2)
  ?.scrollIntoView({ block: 'start', behavior: 'smooth' })
</script>"""


def show_turns(turns: list[StoredTurn], again: Callable[[StoredTurn], None]) -> None:
    """Show the turns of a session; `again` has the last question asked once more."""
    hidden = len(turns) - SHOWN
    if hidden > 0 and st.toggle(f"Show {hidden} earlier", key=f"earlier-{turns[0].session_id}"):
        hidden = 0
    before: StoredImage | None = None
    for index, turn in enumerate(turns):
        if index >= hidden:
            show_question(turn.user, turn.image, turn.region, before)
            _show_answer(turn, again if index == len(turns) - 1 else None)
        before = turn.image
    if state.is_answered():
        scroll_to_end()


def show_question(
    message: str, image: StoredImage | None, region: Box | None, before: StoredImage | None
) -> None:
    """Show what a person asked, with the region meant, or the picture where it is another than `before`."""
    with st.chat_message("user", avatar=":material/person:"):
        paragraph(message)
        if image is None:
            return
        path = resources.store().image_path(image.sha256)
        if region is not None:
            st.image(resources.part(path, region), width=_THUMBNAIL, alt="The region asked about")
        elif before is not None and image != before:
            st.image(resources.jpeg(resources.shown(path)), width=_THUMBNAIL, alt="The picture asked about")


def _show_answer(turn: StoredTurn, again: Callable[[StoredTurn], None] | None) -> None:
    with st.chat_message("assistant", avatar=":material/visibility:"):
        paragraph(turn.answer)
        found = phrases(turn)
        if turn.image and found:
            path = resources.store().image_path(turn.image.sha256)
            st.image(resources.annotated(path, found), alt=_described(found), width="stretch")
        with st.expander(summary(turn), type="compact", key=f"plan-{turn.session_id}-{turn.number}"):
            _show_plan(turn)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _show_thumbs(turn)
            if again is not None:
                st.button(
                    "Ask again",
                    icon=":material/refresh:",
                    type="tertiary",
                    on_click=again,
                    args=(turn,),
                    key="again",
                    help="The last question once more, with the task that is picked below.",
                )


def scroll_to_end() -> None:
    """Bring the newest question into view; Streamlit does so only for a page that stands at its end."""
    st.html(_SCROLL, unsafe_allow_javascript=True, width="content")


# --- how the answer came about ---------------------------------------------------------------------------


def summary(turn: StoredTurn) -> str:
    """Return how a turn was answered, in one line of Markdown."""
    steps = " → ".join(
        f"**{plain(f'[{step.task or CHAT}]')}** {plain(step.argument, 40)}" for step in turn.steps
    )
    boxes = [box for phrase in phrases(turn) for box in phrase.boxes]
    count = f"{len(boxes)} box{'' if len(boxes) == 1 else 'es'}" if boxes else ""
    if len(boxes) == 1 and boxes[0].score is not None:
        count += f", {boxes[0].score:.0%}"
    return " · ".join(part for part in (steps, count, f"{turn.seconds:.1f} s") if part)


def _show_plan(turn: StoredTurn) -> None:
    table([("Why", state.reason(turn)), ("Model", turn.model)])
    for step in turn.steps:
        st.divider()
        table(_facts(step))


def _facts(step: StoredStep) -> list[tuple[str, str]]:
    region = ", ".join(map(str, step.region.bins)) if step.region else ""
    return [
        ("Task", f"[{step.task or CHAT}]"),
        ("Argument", step.argument),
        ("Region", f"{region} (in hundredths of the picture)" if region else ""),
        ("Model wrote", step.raw),
        ("Confidence", _scores(step.phrases)),
        ("Time", f"{step.seconds:.2f} s"),
        ("Failed", step.error or ""),
    ]


def _scores(found: tuple[GroundedPhrase, ...]) -> str:
    return ", ".join(f"{box.score:.0%}" for phrase in found for box in phrase.boxes if box.score is not None)


def _described(found: tuple[GroundedPhrase, ...]) -> str:
    """Return in words what is drawn on the picture."""
    named = (f"{phrase.text or 'something'} ({len(phrase.boxes)})" for phrase in found)
    return f"The picture with boxes round {', '.join(named)}"


# --- what people think of it -----------------------------------------------------------------------------


def _show_thumbs(turn: StoredTurn) -> None:
    key = f"thumbs-{turn.session_id}-{turn.number}"
    if turn.feedback:
        st.session_state.setdefault(key, int(turn.feedback > 0))
    st.feedback("thumbs", key=key, on_change=_keep_feedback, args=(turn.session_id, turn.number, key))


def _keep_feedback(session_id: str, number: int, key: str) -> None:
    chosen: Literal[0, 1] | None = st.session_state[key]
    feedback: Feedback | None = None if chosen is None else 1 if chosen else -1
    resources.store().set_feedback(session_id, number, feedback)


__all__ = ["show_question", "show_turns", "summary"]
