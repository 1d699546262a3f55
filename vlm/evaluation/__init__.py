"""How good the model is, on annotated photos."""
