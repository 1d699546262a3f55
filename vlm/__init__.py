"""The model and everything about it; no langchain, no streamlit, no sqlalchemy."""
