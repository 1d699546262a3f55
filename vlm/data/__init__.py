"""Read datasets, turn them into instructions, and mix them into one training stream."""
