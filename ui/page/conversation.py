"""The conversation: questions, answers, and how each answer was made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import streamlit as st

from assistant.agent.plan import Plan
from assistant.storage import Feedback, StoredImage, StoredStep, StoredTurn
from assistant.storage.records import labelled_boxes

from . import resources, state, summary, together
from .answering import in_flight
from .boxes import turn_with_boxes
from .text import paragraph, plain, table

# How many of the latest turns are shown at first.
SHOWN = 20
# Seconds between two updates of a running answer, times the number of answers in flight, up to so many.
POLL_SECONDS, _MOST_COUNTED = 0.4, 5
# Seconds between two polls: the next would otherwise end the last before it has shown anything.
_PAUSE = 0.2
_AVATAR = ":material/visibility:"

# Asks a question again, with new words or about another image.
Again = Callable[[StoredTurn, str | None, StoredImage | None], None]


def show_turns(
    turns: list[StoredTurn], pictures: list[StoredImage], selected: StoredImage | None, again: Again | None
) -> None:
    """Show the turns of a session; `again` asks a question once more, None while busy.

    `pictures` are all images of the session: the question can be asked about each.
    """
    hidden = len(turns) - SHOWN
    if hidden > 0 and st.toggle(f"Show {hidden} earlier", key=f"earlier-{turns[0].session_id}"):
        hidden = 0
    with_boxes = _on_the_picture(turns, selected)
    before: StoredImage | None = None
    for index, turn in enumerate(turns):
        if index >= hidden:
            is_last, alike = index == len(turns) - 1, together.same_question(turns, index)
            if again and state.is_editing(turn):
                _change_question(turn, again, replaces=is_last and len(alike) == 1)
            else:
                show_question(state.Question(turn.user, turn.image, turn.region), before, turn.number)
            with st.chat_message("assistant", avatar=_AVATAR):
                _show_answer(turn)
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    _show_thumbs(turn)
                    if turn.image and turn.number != with_boxes and labelled_boxes(turn):
                        look = partial(state.select_picture, turn.session_id, turn.image, turn.number)
                        _action("Show boxes", "select_all", look, f"boxes-{turn.number}")
                    if again and alike:
                        _show_again(turn, pictures, again, is_last=is_last)
            if len(alike) > 1 and (again or not is_last):
                together.show(alike, pictures)
        before = turn.image


def _on_the_picture(turns: list[StoredTurn], selected: StoredImage | None) -> int | None:
    if not turns or selected is None:
        return None
    shown = turn_with_boxes(turns, selected, state.boxes_of(turns[0].session_id))
    return shown.number if shown else None


def show_question(question: state.Question, before: StoredImage | None, number: int) -> None:
    """Show a question with its region, or with its image if that differs from `before`."""
    image, region = question.image, question.region
    with st.container(key=f"asked-{number}"), st.chat_message("user", avatar=":material/person:"):
        paragraph(question.message)
        if image is None:
            return
        if region is not None:
            url, alt = f"parts/{image.sha256}/{','.join(map(str, region.bins))}", "The region asked about"
        elif before is not None and image != before:
            url, alt = f"thumbnails/{image.sha256}", "The image asked about"
        else:
            return
        st.html(f'<img class="asked-about" src="{url}" alt="{alt}">')


def _change_question(turn: StoredTurn, again: Again, *, replaces: bool) -> None:
    """Show a form to edit a question; it says where the new answer goes."""
    with st.form(f"new-words-{turn.number}", border=True):
        words = st.text_area("Your question", turn.user, max_chars=4000, key="changed")
        if replaces:
            st.caption("The new answer replaces this one.")
        else:
            st.caption("Asked in a new session, with the turns before this one; this session stays as it is.")
        with st.container(horizontal=True):
            asked = st.form_submit_button("Ask", type="primary", key="ask-changed")
            kept = st.form_submit_button("Cancel", key="keep-question")
    if asked or kept:
        state.edit(None)
        if asked and words.strip():
            again(turn, words.strip(), None)
        st.rerun()


def _show_answer(turn: StoredTurn) -> None:
    paragraph(turn.answer, can_be_copied=True)
    with st.expander(plain(summary.of(turn)), type="compact", key=f"plan-{turn.session_id}-{turn.number}"):
        _show_plan(turn)


def _action(label: str, icon: str, act: Callable[[], None], key: str, tip: str | None = None) -> None:
    st.button(label, icon=f":material/{icon}:", type="tertiary", on_click=act, key=key, help=tip)


def _show_again(turn: StoredTurn, pictures: list[StoredImage], again: Again, *, is_last: bool) -> None:
    """Show the ways to ask a question again; an earlier one can only be edited."""
    change = partial(state.edit, turn)
    _action("Edit question", "edit", change, "change" if is_last else f"change-{turn.number}")
    if not is_last:
        return
    tip = "Answer this question again, with the task picked below."
    _action("Regenerate", "refresh", partial(again, turn, None, None), "again", tip)
    others = {f"Image {number}": image for number, image in enumerate(pictures, 1) if image != turn.image}
    if others and turn.image:
        label = "Ask about another image"
        picked = st.menu_button(
            label, list(others), type="tertiary", icon=":material/image:", key="of-another"
        )
        if picked:
            again(turn, None, others[picked])
            st.rerun()


# --- a running answer -----------------------------------------------------------------------------------


def show_running(running: state.Running, boxes: int) -> None:
    """Show the answer so far and a stop button.

    Rerun the page once the answer is done or has more than `boxes` boxes. The more answers are in flight,
    the less often each is updated, so that the page does not hold up the model.
    """
    seconds = POLL_SECONDS * min(max(in_flight(), 1), _MOST_COUNTED)
    st.fragment(_show_running, run_every=seconds + _PAUSE)(running, boxes, seconds)


def _show_running(running: state.Running, boxes: int, seconds: float) -> None:
    answering = running.answering
    if answering.wait(seconds) or len(answering.phrases) > boxes:
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
        return resources.loading_stage(state.preferences().model)
    return " → ".join(_named(step.name, step.argument) for step in plan.steps)


def show_failure(failure: state.Failure, retry: Callable[[], None] | None, number: int) -> None:
    """Show why a question failed, in one line, with a button for `retry` if given."""
    st.error(plain(failure.reason, 600), icon=":material/error:")
    if retry:
        _action("Try again", "refresh", retry, f"retry-{number}")


# --- how an answer was made ------------------------------------------------------------------------------


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
        ("Task", f"[{step.name}]"),
        ("Argument", step.argument),
        ("Region", f"{region} (in hundredths of the image)" if region else ""),
        ("Model wrote", step.raw),
        ("Confidence", _scores(step)),
        ("Self-check", _opinions(step)),
        ("Time", f"{step.seconds:.2f} s"),
        ("Failed", step.error or ""),
    ]


def _scores(step: StoredStep) -> str:
    scores = [box.score for box in step.boxes]
    if scores and all(score is None for score in scores):
        return "the model's server reports none"
    return ", ".join(f"{score:.0%}" for score in scores if score is not None)


def _opinions(step: StoredStep) -> str:
    checked = [opinion for opinion in step.verifications if opinion]
    return ", ".join(f"{'✓' if opinion.agrees else '✗'} “{opinion.opinion}”" for opinion in checked)


# --- feedback --------------------------------------------------------------------------------------------


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
