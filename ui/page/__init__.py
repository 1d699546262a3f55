"""The chat in the browser: `app.py` is the page that Streamlit runs, the modules beside it are its parts."""
