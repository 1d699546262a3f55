"""The chat in the browser: Streamlit runs `app.py`; the other modules are parts of the page."""
