# Everything that a developer runs. The first target that needs it makes .venv; `make help` lists the rest.

PYTHON ?= python3

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
RUN := $(VENV)/bin/python -m
# A virtual environment names its own folder inside. In a copied checkout it would test the original, so it is made anew.
PLACE := $(shell pwd -P | cksum | cut -d ' ' -f 1)
READY := $(VENV)/ready-$(PLACE)
# What `make run` needs is a third of what developing needs, and is installed first.
RUNS := $(VENV)/runs-$(PLACE)
# What `make check` runs; `make test` leaves out what takes longest. A worker that has nothing left takes from one that has.
TESTS := pytest -n auto --dist worksteal -m
COLAB := .venv-colab
COLAB_READY := $(COLAB)/image/ready-$(PLACE)
# What runs the tests: at the versions of constraints/dev.txt, and where those ask for newer versions than Colab has, at older ones.
COLAB_TOOLS := hypothesis|jupytext|nbformat|pytest|pytest-xdist
COLAB_OLDER_TOOLS := nbclient tensorboard
# Where a Python keeps its packages. A line in a .pth file there has one virtual environment see what lies in another.
SITE := import sysconfig; print(sysconfig.get_path("purelib"))

.PHONY: help run test check bench torture drill docs wheel colab-lane clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'

$(RUNS): pyproject.toml constraints/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'make: Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo 'make: this Python cannot make a virtual environment; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@# Python compiles what it loads, at first use; pip would compile all of it, which takes as long as unpacking it.
	$(RUN) pip install -q --no-compile --disable-pip-version-check -c constraints/dev.txt -e '.[pipeline]'
	@touch $@

$(READY): pyproject.toml constraints/dev.txt
	@$(MAKE) --no-print-directory $(RUNS)
	$(RUN) pip install -q --disable-pip-version-check -c constraints/dev.txt -e '.[dev,pipeline,simulator]'
	@touch $@

run: $(if $(wildcard $(READY)),$(READY),$(RUNS)) ## Run the whole pipeline on the built-in sample, with the folder drive/ as the Drive
	@mkdir -p drive
	$(VENV)/bin/holdfast run sample --root . --drive drive

test: $(READY) ## Run the tests, without those that take longest
	$(RUN) $(TESTS) "not long and not torture and not colab"

check: $(READY) ## Lint, formatting, types, import layers, then the tests, with those that take longest
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports
	$(RUN) $(TESTS) "not torture and not colab"

BENCHMARKS := bytes files study starts on_drive spread serve predict

bench: $(READY) ## Compare with cp, rsync, restic and rclone; hours, 30 GB of disk, and root for clones
	for name in $(BENCHMARKS); do $(VENV)/bin/python benchmarks/$$name.py --write; done

torture: $(READY) ## Kill every command at every file system call, and the long forms of other tests; hours
	$(RUN) pytest -m torture -s

KILLS ?= 10
SEEDS ?= 1 2

drill: $(READY) ## Kill the sample pipeline ten times, and ten times more, on a simulated Drive; compare with nobody killing it
	@rm -rf build/drill && mkdir -p build/drill/sample
	@cd build/drill/sample && for seed in $(SEEDS); do \
		$(abspath $(VENV))/bin/holdfast drill --kills $(KILLS) --seed $$seed --simulate-drive --varies study.db --varies benchmark.json \
			--varies life.json --varies report.html -- $(abspath $(VENV))/bin/holdfast run sample || exit 1; done

docs: $(READY) ## Build the documentation as a site, into build/docs/site; nothing is fetched
	@$(VENV)/bin/python docs/site/build.py && echo "build/docs/site/index.html"

wheel: ## Build the wheel for Drive, into dist/
	@rm -rf build/venv dist/holdfast-*.whl
	@$(PYTHON) -m venv build/venv
	@build/venv/bin/pip wheel -q --disable-pip-version-check --no-deps -w dist .
	@ls dist/holdfast-*.whl

$(COLAB_READY): constraints/colab.txt constraints/colab-image.txt
	$(PYTHON) -m venv --clear $(COLAB)/image
	$(COLAB)/image/bin/pip install -q --disable-pip-version-check --only-binary=:all: -r constraints/colab-image.txt
	@touch $@

# The wheel is what is tested, wherever PYTHONPATH points.
colab-lane: export PYTHONPATH :=
colab-lane: $(COLAB_READY) wheel ## Show that Colab's versions stay and do; needs PyPI, 6 GB of disk and half an hour
	$(COLAB)/image/bin/python -m tests.colab.keeps dist/holdfast-*.whl
	$(COLAB)/image/bin/python -m venv --clear $(COLAB)/tests
	$(COLAB)/image/bin/python -c '$(SITE)' > "$$($(COLAB)/tests/bin/python -c '$(SITE)')/image.pth"
	$(COLAB)/image/bin/pip freeze --all | grep -v '^pip==' > $(COLAB)/image.txt
	grep -E '^($(COLAB_TOOLS))==' constraints/dev.txt > $(COLAB)/tools.txt
	$(COLAB)/tests/bin/pip install -q --disable-pip-version-check "$$(ls dist/holdfast-*.whl)[pipeline]"
	$(COLAB)/tests/bin/pip install -q --disable-pip-version-check -c $(COLAB)/image.txt \
		"$$(ls dist/holdfast-*.whl)[simulator]" -r $(COLAB)/tools.txt $(COLAB_OLDER_TOOLS)
	@# Libraries of that age warn under a newer Python, and one of them brings a plugin that the newest pytest warns of.
	COLAB_IMAGE=$(CURDIR)/$(COLAB)/image COLAB_WHEEL="$$(ls $(CURDIR)/dist/holdfast-*.whl)" \
		$(COLAB)/tests/bin/python -m pytest -n auto -p no:anyio -W default -m "not torture" tests/colab tests/notebook tests/flow tests/pipeline

clean: ## Remove the virtual environments, caches and build outputs
	rm -rf $(VENV) $(COLAB) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
