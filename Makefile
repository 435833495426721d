# Two commands do everything: `make demo` and `make test`. PYTHON=... chooses another Python (3.11 to 3.14).
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11 python3.14 python; do \
	$$p -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: demo outputs test test-all lab docs export readme encoder model clean

demo: .venv/installed ## regenerate the tables on the embedded faces into runs/demo
	$(BIN)/affect tables --profile demo --out runs/demo

outputs: .venv/installed ## the demo with three seeds, its tables and pictures into the table notebooks, for GitHub
	$(BIN)/affect tables --profile demo3 --out runs/demo3
	$(BIN)/python tests/outputs.py runs/demo3

test: .venv/installed ## notebook tests and pytest
	$(BIN)/nbdev_test --n-workers 2
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-all: .venv/installed ## with what is slow: long fuzzing, many kills
	$(BIN)/nbdev_test --n-workers 2 --flags slow
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not cuda"

lab: .venv/installed ## the explorers in JupyterLab
	$(BIN)/affect lab

docs: .venv/installed ## the documentation, into _docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

export: .venv/installed ## notebooks to modules, notebooks cleaned, README rendered
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python tests/readme.py

readme: .venv/installed ## README.md from nbs/index.ipynb
	$(BIN)/python tests/readme.py

encoder: .venv/installed ## make the encoder in the package again (about an hour on two cores)
	$(BIN)/affect finetune --profile encoder --out runs/encoder
	$(BIN)/python -c "from affect_nb.runs.shipped import ship; print(ship('runs/encoder'))"

model: .venv/installed ## make the model for real faces again, from DiffusionFER: make model DATA=.../s_aff_wild2
	$(BIN)/python -W ignore -c "import sys; from affect_nb.infer.default import make_default as m; print(m(sys.argv[1]))" $(DATA)

# A torch that Python already has is used; otherwise pip brings one.
.venv/installed: settings.ini setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.14 was found: install one, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	test -d .venv || $(PYTHON) -m venv $$($(PYTHON) -c 'import torch' 2>/dev/null && echo --system-site-packages) .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

clean: ## remove the environment; runs/ stays
	rm -rf .venv build dist *.egg-info
