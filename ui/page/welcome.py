"""The welcome screen of a new session: upload field, sample photos and suggested questions."""

from __future__ import annotations

import streamlit as st

from . import resources, settings, state
from .text import plain
from .uploads import add_uploads

SAMPLES = {"cat.jpg": "Cat", "coffee.jpg": "Coffee", "astronaut.jpg": "Astronaut", "rocket.jpg": "Rocket"}
SUGGESTIONS = {
    "Describe it": "Describe this picture",
    "Describe it with boxes": "Describe this picture in detail and show where everything is",
    "Find people": "Find every person",
}
# Shown on phones; `camera.js` listens to it.
_CAMERA = '<button class="camera" type="button">Take a photo</button>'
# Streamlit gives its file uploader role="presentation", which hides its label from screen readers. The
# element may appear after this script has run, and again with every session; hence the observer.
_LABEL_SCRIPT = """<script>
(() => {
  const name = () => document.querySelector('[data-testid="stFileUploaderDropzone"]')?.removeAttribute('role')
  name()
  window.naming ??= new MutationObserver(name)
  window.naming.observe(document.body, {childList: true, subtree: true})
})()
</script>"""


def show() -> None:
    """Show the welcome screen."""
    with st.container(key="welcome"):
        st.markdown("# What shall we look at?")
        st.markdown("Ask about an image in plain words, and see the answer on it.")
        files = st.file_uploader(
            "Images",
            accept_multiple_files=True,
            max_upload_size=settings.UPLOAD_MB,
            label_visibility="collapsed",
            key=f"pictures-{state.new_sessions()}",
        )
        st.html(_CAMERA + _LABEL_SCRIPT, unsafe_allow_javascript=True)
        _, complaints = add_uploads(None, files)
        if files and not complaints:
            st.rerun()
        for complaint in complaints:
            st.error(plain(complaint), icon=":material/error:")
        st.caption("Or start with one of these:")
        _show_samples()


def _show_samples() -> None:
    with st.container(horizontal=True, gap="small", key="samples"):
        for file, name in SAMPLES.items():
            with st.container(width=158, gap="xsmall"):
                st.html(f'<img src="samples/{file}" alt="Sample photo: {name}">')
                st.button(name, width="stretch", on_click=_pick, args=(file,), key=f"sample-{name}")


def _pick(file: str) -> None:
    state.add_pictures(None, [resources.store().add_image(resources.SAMPLES / file)])


def show_suggestions() -> str | None:
    """Show suggested questions; return the one clicked."""
    with st.chat_message("assistant", avatar=":material/visibility:"):
        st.markdown("Ask about the image below, draw a box on it to ask about a part, or try:")
        with st.container(horizontal=True, gap="small"):
            for label, message in SUGGESTIONS.items():
                if st.button(label, key=f"try-{label}"):
                    return message
    return None
