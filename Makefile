# make demo     a first avatar video, with nothing but Python       make test     checks and tests
# make install  the program in .venv    make clean    remove what was built
# make bench CLIP=FILE.mp4   measure it on a clip (default: demo.mp4, which make demo leaves)
# make gpu-check, make gpu-bench   correctness and speed on an NVIDIA GPU; both install the cuda extra, or take a Python
#               that has torch and CuPy for the GPU as it is, without any download: make gpu-check GPU_PYTHON=python3
# make vm-test  real V4L2 cameras in a guest of its own, built once (Debian 12, root; docs/virtual-camera.md)
# PYTHON=...    the Python to use instead of the first suitable one

PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.12 python3.11 python3.10)
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

GPU_PYTHON ?= $(BIN)/python
GPU_NEEDS := $(if $(filter $(BIN)/python,$(GPU_PYTHON)),.venv/installed-cuda)

.PHONY: demo test install bench vm-test gpu-check gpu-bench clean

demo: .venv/installed
	$(BIN)/avatar-live --style toon --source demo --output demo.mp4 --contact-sheet demo.png
	@echo "The video is $(CURDIR)/demo.mp4, the contact sheet (input beside output) is $(CURDIR)/demo.png"

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q

install: .venv/installed

bench: .venv/installed-dev
	$(BIN)/python -m tools.bench_pipeline $(or $(CLIP),demo.mp4)

vm-test: .venv/installed
	tests/vm/test.sh

gpu-check: $(GPU_NEEDS)
	$(GPU_PYTHON) -m pytest -q -W default -m gpu tests/gpu

gpu-bench: $(GPU_NEEDS)
	$(GPU_PYTHON) -m tools.bench_kernels
	$(GPU_PYTHON) -m tools.bench_generator
	$(GPU_PYTHON) -m tools.gpu_table
	$(GPU_PYTHON) -m tools.bench_live --device cuda

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo.mp4 demo.png

.venv/installed: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch .venv/installed $@

.venv/installed-cuda: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cuda,dev]'
	@touch $@

# The first Python that is neither too old nor too new and can make environments.
.venv/pyvenv.cfg:
	@for python in $(CANDIDATES); do \
	    version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	    case "$$version" in 3.10|3.11|3.12) ;; *) found="$$found $$python is $$version."; continue;; esac; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then chosen=$$python; break; fi; \
	    found="$$found $$python ($$version) has no venv: sudo apt install python$$version-venv."; \
	done; \
	if [ -z "$$chosen" ]; then \
	    echo "No suitable Python found.$${found:- None of $(CANDIDATES) runs.} Wanted 3.10, 3.11 or 3.12." >&2; \
	    echo "Install one: Debian, Ubuntu: sudo apt install python3 python3-venv (or python3.12 python3.12-venv);" >&2; \
	    echo "Fedora: sudo dnf install python3.12; macOS: brew install python@3.12; Windows: winget install Python.Python.3.12." >&2; \
	    echo "Then run make again, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	echo "Making .venv with $$chosen ($$version)"; \
	$$chosen -m venv .venv
