"""Photos with annotations on disk, and the instructions built from them."""
