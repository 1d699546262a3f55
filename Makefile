# Everything runs in a virtual environment of its own; a second run finds it ready.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

IMAGE ?= ui/samples/cat.jpg
Q ?= where is the cat?
OUT ?= answer.png

.PHONY: ask test check format

ask: $(VENV)/ready
	$(BIN)/assistant ask "$(IMAGE)" "$(Q)" --save "$(OUT)"

test: check
	$(BIN)/python -m pytest

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/link $(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy does not see through an editable install: the link gives it the package under its name.
# torch comes first and in exactly this version, so that nothing else decides which build is taken.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	mkdir -p $(VENV)/link && ln -sfn "$(CURDIR)" $(VENV)/link/assistant
	touch $@
