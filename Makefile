# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

CXX ?= c++

.PHONY: setup demo test sanitize lint format docs bench clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "steepest needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: setup  ## Train on real data and show the result
	$(BIN)/python examples/demo.py

test: setup  ## The whole suite
	$(BIN)/python -m pytest

sanitize: setup  ## The native engine's tests under the address and undefined-behaviour sanitizers
	$(BIN)/pip install --quiet --constraint constraints.txt nanobind cmake
	$(BIN)/cmake -S . -B build/sanitize -DSTEEPEST_SANITIZE=ON -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	$(BIN)/cmake --build build/sanitize --parallel 2
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	STEEPEST_TEST_NATIVE=$$(ls build/sanitize/_native*.so) \
	$(BIN)/python -m pytest tests/native tests/parity -k "not fork and not environment and not seeds and not peak"

lint: setup  ## What .ci/run checks beside the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## The documentation site in site/, its tutorial and notebooks executed
	$(BIN)/mkdocs build --strict
	@# It must be readable without a network: no page may load anything from another host.
	@! grep -rnoE '<(script|img|link|iframe)[^>]*(src|href)="?(https?:)?//[^>]*>' site --include='*.html' | grep -vE 'rel="?canonical'

bench: setup  ## Workloads A to F against every peer that is installed, as ratios in one run
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
