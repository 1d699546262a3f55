"""The commands of `assistant`, a module a subject; each imports what is heavy only when it runs."""
