"""User interfaces: the command line, the chat page, and the box renderer that both use."""
