"""The page of the chat: Streamlit runs this file from top to bottom whenever somebody does something.

It holds no knowledge of its own: the assistant answers, the store keeps, `render` draws.
"""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st
from streamlit.typing import ChatInputValue

from assistant.storage import SessionSummary, StoredImage, StoredTurn
from assistant.ui.page import conversation, picture_pane, resources, settings, sidebar, state, welcome
from assistant.ui.page.text import plain
from assistant.vlm.errors import AssistantError
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task

logger = logging.getLogger(__name__)

AUTOMATIC = "automatic"
TASKS: dict[str, str] = {
    AUTOMATIC: "Automatic",
    Task.CAPTION: "Caption",
    Task.VQA: "Question",
    Task.REFER: "Find one",
    Task.DETECTION: "Find all",
    Task.GROUNDING: "Describe with boxes",
    Task.IDENTIFY: "Name the region",
}
FILE_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "avif", "tif", "tiff", "bmp", "ppm"]


def show_page() -> None:
    """Show the page."""
    st.set_page_config("Assistant", "🔎", layout="wide")
    st.html(Path(__file__).with_name("style.css"))
    prompt, task = show_input()
    session = state.current_session()
    session_id = session.id if session else None
    complaints = add_uploads(session_id, prompt)
    turns = resources.store().turns(session.id) if session else []
    sidebar.show(session)
    looked_at = state.looked_at(session_id, turns)
    if prompt and prompt.text.strip() and not complaints:
        region = picture_pane.region(session_id, turns, looked_at)
        state.put_question(state.Question(prompt.text.strip(), looked_at, region, task))
    show_session(session, turns, looked_at, complaints, task)


def show_input() -> tuple[ChatInputValue | None, Task | None]:
    """Show where questions are written; return what was sent and the task picked by hand."""
    with st.bottom:
        picked = st.pills(
            "Task",
            list(TASKS),
            format_func=TASKS.__getitem__,
            default=AUTOMATIC,
            required=True,
            wrap=False,
            key="task",
            label_visibility="collapsed",
        )
        prompt = st.chat_input(
            "Ask about the picture",
            accept_file="multiple",
            file_type=FILE_TYPES,
            max_upload_size=settings.UPLOAD_MB,
            max_chars=4000,
            submit_mode="disable",
            key="ask",
        )
    return prompt, None if picked == AUTOMATIC else Task(picked)


def add_uploads(session_id: str | None, prompt: ChatInputValue | None) -> list[str]:
    """Keep the pictures that were sent; return a line for each file that is none."""
    added: list[StoredImage] = []
    complaints: list[str] = []
    for file in prompt.files if prompt else []:
        try:
            content = file.getvalue()
            open_picture(content)
            added.append(resources.store().add_image(content))
        except AssistantError as error:
            complaints.append(f"{file.name}: {str(error).removeprefix('the picture: ')}")
    state.add_pictures(session_id, added)
    return complaints


def show_session(
    session: SessionSummary | None,
    turns: list[StoredTurn],
    looked_at: StoredImage | None,
    complaints: list[str],
    task: Task | None,
) -> None:
    """Show the conversation beside its picture, and answer the question that waits."""
    session_id = session.id if session else None
    question = state.take_question()
    if looked_at is None:
        chat = st.container()
    else:
        chat, beside = st.columns([5, 4], gap="large")
        with beside, st.container(key="picture"):
            picture_pane.show(session_id, turns, looked_at, task)
    with chat:
        conversation.show_turns(turns, lambda turn: ask_again(turn, task))
        for complaint in complaints:
            st.error(plain(complaint), icon=":material/error:")
        if question is not None:
            answer(session_id, turns, question)
        elif looked_at is None and not turns:
            welcome.show()
        elif not turns and (message := welcome.show_suggestions()):
            state.put_question(state.Question(message, looked_at))
            st.rerun()


def ask_again(turn: StoredTurn, task: Task | None) -> None:
    """Have a turn's question asked once more, with the task that is picked now."""
    state.put_question(state.Question(turn.user, turn.image, turn.region, task))


def answer(session_id: str | None, turns: list[StoredTurn], question: state.Question) -> None:
    """Answer a question and show the session with it; what goes wrong is one line."""
    before = turns[-1].image if turns else None
    conversation.show_question(question.message, question.image, question.region, before)
    conversation.scroll_to_end()
    with st.chat_message("assistant", avatar=":material/visibility:"):
        try:
            with st.spinner("Looking …"):
                kept = question.image
                picture = open_picture(resources.store().image_path(kept.sha256)) if kept else None
                turn, result = resources.assistant().ask(
                    session_id, question.message, picture, kept, question.region, question.task
                )
        except AssistantError as error:
            st.error(plain(str(error), 600), icon=":material/error:")
            return
        except Exception as error:
            logger.exception("no answer")
            st.error(plain(f"No answer: {type(error).__name__}. The log says more."), icon=":material/error:")
            return
    state.keep_answer(session_id, turn, result)
    st.rerun()


try:
    show_page()
except AssistantError as problem:
    st.error(plain(str(problem), 600), icon=":material/error:")
