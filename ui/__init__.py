"""User interfaces: the command line, the chat page, and what both share."""
