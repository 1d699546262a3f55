"""The families of vision-language models: how each is asked, and how it writes boxes; one module a family."""
