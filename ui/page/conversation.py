"""The conversation: questions, answers, and how each answer was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from assistant.agent.plan import CHAT, Plan
from assistant.agent.turn import NOTHING_SAID
from assistant.storage import Feedback, StoredImage, StoredStep, StoredTurn
from assistant.storage.records import labelled_boxes
from assistant.vlm.grounding import GroundedPhrase

from . import resources, state, summary, together
from .boxes import turn_with_boxes
from .text import paragraph, plain, table

# How many of the latest turns are shown at first.
SHOWN = 20
# Seconds that the page waits for an answer before it shows the text so far: short enough to follow, long
# enough that many waiting tabs leave the processor to the model.
GLANCE = 0.4
_AVATAR = ":material/visibility:"
_THUMBNAIL = 140

# Asks the last question again, with new words or about another picture.
Again = Callable[[StoredTurn, str | None, StoredImage | None], None]


def show_turns(
    turns: list[StoredTurn], pictures: list[StoredImage], looked_at: StoredImage | None, again: Again | None
) -> None:
    """Show the turns of a session; `again` asks the last question once more, None while busy.

    `pictures` are all pictures of the session: the question can be asked about each.
    """
    hidden = len(turns) - SHOWN
    if hidden > 0 and st.toggle(f"Show {hidden} earlier", key=f"earlier-{turns[0].session_id}"):
        hidden = 0
    with_boxes = _on_the_picture(turns, looked_at)
    before: StoredImage | None = None
    for index, turn in enumerate(turns):
        if index >= hidden:
            last = again if index == len(turns) - 1 else None
            if last and state.is_changing(turn):
                _change_question(turn, last)
            else:
                show_question(state.Question(turn.user, turn.image, turn.region), before, turn.number)
            _show_answer(turn, with_boxes, pictures, last)
            if len(alike := together.asked_alike(turns, index)) > 1:
                together.show(alike, pictures)
        before = turn.image


def _on_the_picture(turns: list[StoredTurn], looked_at: StoredImage | None) -> int | None:
    if not turns or looked_at is None:
        return None
    shown = turn_with_boxes(turns, looked_at, state.boxes_of(turns[0].session_id))
    return shown.number if shown else None


def show_question(question: state.Question, before: StoredImage | None, number: int) -> None:
    """Show a question with its region, or with its picture if that differs from `before`."""
    image, region = question.image, question.region
    with st.container(key=f"asked-{number}"), st.chat_message("user", avatar=":material/person:"):
        paragraph(question.message)
        if image is None:
            return
        path = resources.store().image_path(image.sha256)
        if region is not None:
            st.image(resources.part(path, region), width=_THUMBNAIL, alt="The region asked about")
        elif before is not None and image != before:
            alt = "The picture asked about"
            st.html(f'<img class="asked-about" src="thumbnails/{image.sha256}" alt="{alt}">')


def _change_question(turn: StoredTurn, again: Again) -> None:
    """Show a form to edit the last question; the new answer replaces the turn."""
    with st.form(f"change-{turn.number}", border=True):
        words = st.text_area("Your question", turn.user, max_chars=4000, key="changed")
        with st.container(horizontal=True):
            asked = st.form_submit_button("Ask", type="primary", key="ask-changed")
            kept = st.form_submit_button("Cancel", key="keep-question")
    if asked or kept:
        state.change(None)
        if asked and words.strip():
            again(turn, words.strip(), None)
        st.rerun()


def _show_answer(
    turn: StoredTurn, with_boxes: int | None, pictures: list[StoredImage], again: Again | None
) -> None:
    with st.chat_message("assistant", avatar=_AVATAR):
        paragraph(turn.answer, can_be_copied=True)
        if turn.stopped and turn.answer != NOTHING_SAID:
            st.caption("You stopped this answer.")
        with st.expander(
            plain(summary.of(turn)), type="compact", key=f"plan-{turn.session_id}-{turn.number}"
        ):
            _show_plan(turn)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _show_thumbs(turn)
            if turn.number != with_boxes and labelled_boxes(turn):
                st.button(
                    "Show boxes",
                    icon=":material/select_all:",
                    type="tertiary",
                    on_click=state.look_at,
                    args=(turn.session_id, turn.image, turn.number),
                    key=f"boxes-{turn.number}",
                )
            if again is not None:
                _show_again(turn, pictures, again)


def _show_again(turn: StoredTurn, pictures: list[StoredImage], again: Again) -> None:
    """Show the actions on the last question."""
    st.button(
        "Regenerate",
        icon=":material/refresh:",
        type="tertiary",
        on_click=again,
        args=(turn, None, None),
        key="again",
        help="Answer this question again, with the task picked below.",
    )
    st.button(
        "Change question",
        icon=":material/edit:",
        type="tertiary",
        on_click=state.change,
        args=(turn,),
        key="change",
    )
    others = {f"Picture {number}": image for number, image in enumerate(pictures, 1) if image != turn.image}
    if others and turn.image:
        label = "Ask of another picture"
        picked = st.menu_button(
            label, list(others), type="tertiary", icon=":material/image:", key="of-another"
        )
        if picked:
            again(turn, None, others[picked])
            st.rerun()


# --- an answer on its way --------------------------------------------------------------------------------


@st.fragment(run_every=0.1)
def show_running(running: state.Running, boxes: int) -> None:
    """Show the answer so far and a stop button.

    Rerun the page once the answer is done or has more than `boxes` boxes.
    """
    answering = running.answering
    if answering.wait(GLANCE) or len(answering.phrases) > boxes:
        st.rerun()
    with st.chat_message("assistant", avatar=_AVATAR):
        if answering.words:
            paragraph(answering.words, is_growing=True)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(_progress(answering.plan))
            st.button(
                "Stop",
                icon=":material/stop_circle:",
                on_click=answering.stop,
                disabled=answering.is_stopping,
                key="stop",
            )


def _progress(plan: Plan | None) -> str:
    if plan is None:
        return "Getting the model ready …"
    return " → ".join(_named(step.name, step.argument) for step in plan.steps)


def show_failure(failure: state.Failure, retry: Callable[[], None] | None) -> None:
    """Show why a question failed, in one line, with a button for `retry` if given."""
    st.error(plain(failure.reason, 600), icon=":material/error:")
    if retry:
        st.button("Try again", icon=":material/refresh:", on_click=retry, key="retry")


def show_waiting(questions: list[state.Question], number: int) -> None:
    """Show the queued questions; the first becomes turn `number`."""
    for offset, question in enumerate(questions):
        show_question(question, question.image, number + offset)


# --- how the answer came about ---------------------------------------------------------------------------


def _named(task: str, argument: str) -> str:
    return f"**{plain(f'[{task}]')}** {plain(argument, 40)}".strip()


def _show_plan(turn: StoredTurn) -> None:
    table([("Why", turn.why), ("Model", turn.model)])
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
        ("Asked back", _opinions(step)),
        ("Time", f"{step.seconds:.2f} s"),
        ("Failed", step.error or ""),
    ]


def _scores(found: tuple[GroundedPhrase, ...]) -> str:
    scores = [box.score for phrase in found for box in phrase.boxes]
    if scores and all(score is None for score in scores):
        return "the model's server reports none"
    return ", ".join(f"{score:.0%}" for score in scores if score is not None)


def _opinions(step: StoredStep) -> str:
    checked = [opinion for opinion in step.verifications if opinion]
    return ", ".join(f"{'✓' if opinion.agrees else '✗'} “{opinion.opinion}”" for opinion in checked)


# --- what people think of it -----------------------------------------------------------------------------


def _show_thumbs(turn: StoredTurn) -> None:
    # A replaced turn is a new answer without feedback, hence the time in the key.
    key = f"thumbs-{turn.session_id}-{turn.number}-{turn.created:%H%M%S%f}"
    if turn.feedback:
        st.session_state.setdefault(key, int(turn.feedback > 0))
    st.feedback("thumbs", key=key, on_change=_keep_feedback, args=(turn.session_id, turn.number, key))


def _keep_feedback(session_id: str, number: int, key: str) -> None:
    chosen: Literal[0, 1] | None = st.session_state[key]
    feedback: Feedback | None = None if chosen is None else 1 if chosen else -1
    resources.store().set_feedback(session_id, number, feedback)


__all__ = [
    "show_failure",
    "show_question",
    "show_running",
    "show_turns",
    "show_waiting",
]
