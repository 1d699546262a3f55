"""The released MiniGPT-v2: convert its files to a model folder, export an adapter as its checkpoint."""
