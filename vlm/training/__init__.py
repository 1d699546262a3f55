"""Training of what is ours: the linear layer and LoRA."""
