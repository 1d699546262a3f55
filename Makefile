# Everything runs in a virtual environment of its own; a second run finds it ready.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

IMAGE ?= ui/samples/cat.jpg
Q ?= where is the cat?
OUT ?= answer.png
# The shell gets these as variables, so that it runs nothing that stands in a question.
export IMAGE Q OUT

.PHONY: ask test test-fast check format fuzz docs mutation

ask: $(VENV)/ready
	$(BIN)/assistant ask "$$IMAGE" "$$Q" --save "$$OUT"

# On several cores. The tests of a file share a process, since they share what they load. Files keep their order:
# the page's come last, because Playwright's event loop stays in its process.
test: check
	$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# Tests without models, processes, servers and the page: a first look at a change.
test-fast: $(VENV)/ready-for-development
	$(BIN)/python -m pytest --fast

# The site of docs/, with the API reference, in build/site; a broken link or docstring is an error.
# The links keep it from reading all that lies at the root, which is the package.
docs: $(VENV)/ready-for-development
	mkdir -p build/reference/assistant
	ln -sfn $(addprefix "$(CURDIR)"/,__init__.py agent storage tools ui vlm) build/reference/assistant
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Changes the core modules in small ways, one at a time, and lists the changes that no test notices.
MUTATION := build/mutation
mutation: $(VENV)/ready-for-development
	rm -rf $(MUTATION) && mkdir -p $(MUTATION)/assistant
	git ls-files -z | tar --null --files-from=- --create | tar --extract --directory=$(MUTATION)/assistant
	cp tests/mutation.toml $(MUTATION)/pyproject.toml
	cd $(MUTATION) && "$(CURDIR)/$(BIN)/mutmut" run && "$(CURDIR)/$(BIN)/mutmut" results

# Inputs for each fuzzed test; `make test` tries 100.
fuzz: export FUZZ_EXAMPLES ?= 5000
fuzz: $(VENV)/ready-for-development
	$(BIN)/python -m pytest tests/fuzz

check: $(VENV)/ready-for-development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/link $(BIN)/mypy

format: $(VENV)/ready-for-development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch comes first, in the one version that everything is tested with.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ask")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[evaluation,page]"
	touch $@

# mypy does not see through an editable install: the link gives it the package under its name.
$(VENV)/ready-for-development: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	mkdir -p $(VENV)/link && ln -sfn "$(CURDIR)" $(VENV)/link/assistant
	touch $@
