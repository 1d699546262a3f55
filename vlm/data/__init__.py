"""Data sets on disk, the instructions built from them, and the mixed stream that training draws."""
