# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin

CXX ?= c++

.PHONY: help setup demo test quick changed board native sanitize lint format hooks docs bench clean

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: .venv/ready  ## An environment in .venv with everything that the rest needs

.venv/ready: pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "steepest needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# pip says nothing for minutes: a dot every five seconds, and its own words if it fails.
	@printf 'Setting up .venv: PyTorch, what else pyproject.toml names, the C++ engine; some five minutes '
	@(while sleep 5; do printf .; done) & dots=$$!; \
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'; \
	ended=$$?; kill $$dots; echo; exit $$ended
	touch $@

demo: setup  ## Train on real images, show the result and the same bits, find a fault; DATA=fashion-mnist
	$(BIN)/python examples/demo.py $(DATA)

# Two workers with a thread each finish sooner than one with two, and .ci/run has the sanitizers beside them. Threads
# of OpenMP that wait for each other sleep: those that spin keep the processors from who is waited for.
test quick changed sanitize: export OMP_NUM_THREADS = 1
test quick changed sanitize docs: export OMP_WAIT_POLICY = PASSIVE

test: setup  ## The whole suite
	$(BIN)/python -m pytest -n 2

quick: setup  ## The tests that are quick: after each change, under a minute
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not docs and not faults"

changed: setup  ## The tests that what differs from main leads to (tests/affected.py)
	@places=$$($(BIN)/python tests/affected.py); test -z "$$places" || $(BIN)/python -m pytest -q -n 2 $$places

board: frontend/node_modules/.package-lock.json  ## Build the page of `steepest board` from frontend/ (needs Node)
	cd frontend && npx tsc --noEmit && node build.mjs

frontend/node_modules/.package-lock.json: frontend/package.json frontend/package-lock.json
	cd frontend && npm ci --ignore-scripts --no-audit --no-fund

native: $(BIN)/python  ## Rebuild the C++ engine alone, what has changed of it
	$(BIN)/cmake -S . -B build/native -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python >/dev/null
	$(BIN)/cmake --build build/native --parallel 2
	$(BIN)/cmake --install build/native --prefix \
	  $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
	touch .venv/ready

sanitize: setup  ## The native engine's tests under the address and undefined-behaviour sanitizers
	$(BIN)/cmake -S . -B build/sanitize -DSTEEPEST_SANITIZE=ON -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	$(BIN)/cmake --build build/sanitize --parallel 2
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	STEEPEST_TEST_NATIVE=$$(ls build/sanitize/_native*.so) \
	$(BIN)/python -m pytest tests/native tests/parity -k "not fork and not environment and not seeds and not peak"

lint: setup  ## What .ci/run checks beside the tests: formats, lints, types, the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run -Werror $(wildcard src/native/*.h src/native/*.cpp)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## Format Python and C++
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(wildcard src/native/*.h src/native/*.cpp)

hooks: setup  ## Let git run the linters before each commit
	$(BIN)/pre-commit install

docs: setup  ## The documentation site in site/, its tutorial and notebooks executed
	$(BIN)/mkdocs build --strict
	@# It must be readable without a network: no page may load anything from another host.
	@! grep -rnoE '<(script|img|link|iframe)[^>]*(src|href)="?(https?:)?//[^>]*>' site --include='*.html' | grep -vE 'rel="?canonical'

bench: setup  ## Workloads A to F against every peer that is installed, as ratios in one run
	$(BIN)/python benchmarks/run.py

clean:  ## Remove the environment and everything that was built
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
