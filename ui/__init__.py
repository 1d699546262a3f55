"""What people touch: the command line, the chat page, and the one renderer of boxes."""
