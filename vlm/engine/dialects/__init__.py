"""Dialects: how each family of vision-language models is prompted and writes boxes; one module each."""
