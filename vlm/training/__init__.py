"""Train the linear layer and LoRA."""
