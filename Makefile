# Everything runs in .venv, which the first target makes. PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover

CPP = $$(git ls-files '*.h' '*.cc' '*.cu' '*.cuh')

.PHONY: demo test test-c test-emulated test-kernels mutate-kernels gpu-report test-gpu bench bench-all gen check format clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo ## a picture of a recording, and how much faster it was than torch
	$(BIN)/fastspec spectrogram examples/audio/music.ogg --kind mel --log db -o demo.png
	$(BIN)/fastspec bench

test: $(VENV)/test ## every test, in a process a core, whose threads leave the core to others while they wait
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal tests

test-emulated: ## the C library under QEMU: AVX2, no AVX, ARM64; needs qemu-user and g++-aarch64-linux-gnu
	bash tests/emulated.sh

test-c: ## random calls of the C interface under AddressSanitizer and UBSan, 2 minutes; needs cmake
	cmake -S . -B build/sanitized -DFASTSPEC_OPTIMIZE=-O1 -DCMAKE_CXX_FLAGS="$(SANITIZE) -g1 -DFASTSPEC_CALLS" \
	  -DCMAKE_SHARED_LINKER_FLAGS="$(SANITIZE)"
	cmake --build build/sanitized --parallel 2
	$(CC) $(SANITIZE) -g -Ikernels/cpu tests/random_calls.c -Lbuild/sanitized -lfastspec -lm \
	  -Wl,-rpath,$(CURDIR)/build/sanitized -o build/sanitized/random_calls
	build/sanitized/random_calls 3000

test-kernels: $(VENV)/kernels ## the CUDA kernels without a GPU: sanitizers, executed PTX, budgets on every GPU
	sh tests/host_cuda/sanitize.sh $(BIN)/python
	$(BIN)/python -m pytest -q gpu
	$(BIN)/python -m gpu.gate
	@if command -v nvcc; then $(BIN)/cmake -S . -B build/nvcc -DFASTSPEC_CHECK_CUDA=ON && \
	  $(BIN)/cmake --build build/nvcc --target fastspec_cuda; else echo "nvcc is not here: its check is LEFT OUT"; fi

mutate-kernels: $(VENV)/kernels ## each barrier and comparison of the kernels taken out in turn; the checks must notice
	$(BIN)/python -m gpu.mutate

gpu-report: $(VENV)/kernels ## docs/gpu.md: counts and predicted limits of the kernels
	$(BIN)/python -m gpu.report
	$(BIN)/python -m gpu.report_triton

test-gpu: $(VENV)/kernels ## tests and benchmark on a real GPU; writes bench/results/<gpu>.csv
	$(BIN)/python -m gpu.on_gpu

bench: $(VENV)/bench ## the comparison with other libraries, 15 minutes; writes bench/results and the README's table
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.readme

bench-all: $(VENV)/bench ## every transform and peer, scaling and protocols: an hour; goes on where it stopped (QUICK=--quick: minutes)
	$(BIN)/python -m bench.environments || true
	$(BIN)/python -m bench.all $(QUICK)

gen: $(VENV)/bench ## docs/benchmarks.md and its plots, out of bench/results
	$(BIN)/python -m bench.pages

check: $(VENV)/dev ## format, lint, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run --Werror $(CPP)

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

clean:
	rm -rf build $(VENV) demo.png

# One stamp a set of extras; the build is editable, so that Python sources are used where they lie.
SOURCES = pyproject.toml constraints.txt CMakeLists.txt $(wildcard kernels/common/* kernels/cpu/*)

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch numpy scikit-build-core nanobind nanobind-backend ninja cmake
	touch $@

$(VENV)/native: $(VENV)/pip $(SOURCES)
	$(PIP) --no-build-isolation --editable .
	touch $@

$(VENV)/demo: $(VENV)/native
	$(PIP) --no-build-isolation matplotlib
	touch $@

$(VENV)/test: $(VENV)/native
	$(PIP) safetensors matplotlib soxr hypothesis pytest pytest-benchmark pytest-xdist librosa scipy torchaudio nnaudio2 torchlibrosa triton \
	  asteroid-filterbanks panns-inference transformers keras onnx onnxruntime onnxscript
	$(PIP) --no-deps kapre # read, not run: it would bring TensorFlow
	touch $@

$(VENV)/bench: $(VENV)/test
	$(PIP) auvux-dsp kaldi-native-fbank
	touch $@

# Compilers for GPUs and their tools; none of it needs a GPU. About 400 MB.
$(VENV)/kernels: $(VENV)/test
	$(PIP) cupy-cuda12x nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 triton
	touch $@

$(VENV)/dev: $(VENV)/test
	$(PIP) ruff pyright clang-format
	touch $@
