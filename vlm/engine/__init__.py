"""Ways to run the model behind one interface."""
