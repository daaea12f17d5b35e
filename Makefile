# Two commands on a fresh machine (Python 3.11+, a C++ compiler): `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow sanitize lint format setup clean

demo: $(READY)  ## a synthetic drive: archive, restore, evaluate; results in data/demo
	$(BIN)/quinr-flows demo --out data/demo

# Three at a time on two cores: a good part of their time is waiting for servers and processes.
test: $(READY)  ## all tests but the slow ones
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

sanitize: $(READY)  ## the kernel's tests under AddressSanitizer and UBSan
	.ci/sanitize $(BIN)/python

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)

# torch comes first: with the CPU build there, nothing asks for gigabytes of CUDA packages. The
# extra `dev` is every other extra and what tests need.
$(READY): pyproject.toml constraints.txt CMakeLists.txt $(wildcard quinr_lidar/native/* quinr_lidar/native/strict/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "quinr-lidar needs Python 3.11 or newer; choose one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) data/demo build dist
