# Every target sets up what it needs; `make help` lists them.

PYTHON ?= python3
TESTS ?= tests
SECONDS ?= 60
SEEDS ?= 10000
PREFIX ?= /usr/local
DESTDIR ?=

VENV := .venv
READY := $(VENV)/ready
RUN := $(VENV)/bin/python
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard carppcap/locale/*/LC_MESSAGES/*.po))

# command=package, as Debian calls them
NETWORK := ip=iproute2 ping=iputils-ping
REFERENCE := mandoc=mandoc ucarp=ucarp tcpdump=tcpdump tshark=tshark faketime=faketime \
    systemd-analyze=systemd zsh=zsh fish=fish

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Every day
.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^##@/ { printf "%s%s\n", gap, substr($$0, 5); gap = "\n" } \
	    /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.13 chooses the interpreter, TESTS=tests/test_fsm.py the tests."

.PHONY: format
format: $(READY) ## bring the sources into shape
	$(RUN) -m ruff check --quiet --fix-only
	$(RUN) -m ruff format

.PHONY: test
test: $(READY) $(CATALOGUES) network reference ## run all tests, also those in namespaces when root
	$(RUN) -m pytest $(MEASURE) $(TESTS)

.PHONY: demo
demo: $(READY) $(CATALOGUES) network ## watch an election, a crash, a stop and two faults
	@$(RUN) -m tests.demo

##@ On this host
.PHONY: install
install: ## install below PREFIX=/usr/local, with what the daemon imports (DESTDIR=)
	@.ci/install $(PYTHON) $(PREFIX) $(DESTDIR)

.PHONY: uninstall
uninstall: ## remove that
	@.ci/uninstall $(PREFIX) $(DESTDIR)

##@ Before a commit
.PHONY: check
check: lint types cover ## all that must be true, as CI runs it

.PHONY: lint
lint: $(READY) ## look for mistakes and untidy sources
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

.PHONY: types
types: $(READY) ## check the types
	$(RUN) -m mypy

.PHONY: cover
cover: ## run all tests and demand coverage
	@$(MAKE) test MEASURE="--cov --cov-report=term"
	@$(RUN) -m tests.thresholds

.PHONY: locales
locales: $(READY) ## bring the catalogues of messages up to date
	$(RUN) -c "from setuptools import setup; setup()" -q extract_messages update_catalog
	$(RUN) -m carppcap.text.catalogues

.PHONY: docs
docs: $(READY) ## write option lists and completions; everything as HTML in build/docs
	@.ci/debian mandoc=mandoc
	$(RUN) -m tests.manual
	$(RUN) -m tests.completions
	@$(RUN) -m tests.render build/docs

.PHONY: diagram
diagram: $(READY) ## write the transitions of the election into the manual page
	$(RUN) -m tests.election.diagram --write

##@ Now and then
.PHONY: netns
netns: $(READY) $(CATALOGUES) network reference ## run only the tests in namespaces (needs root)
	$(RUN) -m pytest -m netns $(TESTS)

.PHONY: bench
bench: $(READY) $(CATALOGUES) network reference ## measure, side by side with ucarp (needs root)
	@$(RUN) -m tests.bench

.PHONY: fuzz
fuzz: $(READY) ## hostile input for SECONDS=60, with coverage as a guide
	@nice $(RUN) -m tests.fuzz --seconds $(SECONDS)

.PHONY: soak
soak: $(READY) ## try the laws of an election on SEEDS=10000 random groups of hosts
	@nice $(RUN) -m tests.properties $(SEEDS)

.PHONY: mutants
mutants: $(READY) ## plant mistakes in the core and see that tests find them
	@$(RUN) -m tests.mutants

.PHONY: timelines
timelines: $(READY) ## rewrite the expected timelines; commit what you can explain
	$(RUN) -m tests.timelines

.PHONY: clean
clean: ## remove everything that make made
	rm -rf $(VENV) .fuzz build dist htmlcov *.egg-info .coverage .coverage.* \
	    .hypothesis .mypy_cache .pytest_cache .ruff_cache $(CATALOGUES)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made again when what it is made from changes, or for another PYTHON.
ifneq ($(PYTHON),$(shell cat $(READY) 2> /dev/null))
.PHONY: $(READY)
endif
$(READY): setup.cfg pyproject.toml .ci/environment
	@.ci/environment $(PYTHON) $(VENV)

%.mo: %.po | $(READY)
	@$(RUN) -m carppcap.text.catalogues

.PHONY: network reference
network:
	@.ci/debian $(NETWORK)
reference:
	@.ci/debian $(REFERENCE)
