# `make help` lists the targets. Everything lives in .venv; nothing outside the repository is touched.
#
# Each step of the set-up leaves a stamp in .venv that is newer than what the step was made from,
# so a second call installs and builds nothing.

SHELL := /bin/sh
PY := .venv/bin/python
OLD := .venv-oldest/bin/python
# Two cores are enough to run everything here; one thread per process keeps test workers apart.
TEST_ENV := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
WORKERS ?= 2
SCALE ?= 0.01
PART ?= all
RUST := $(shell find rust Cargo.toml Cargo.lock pyproject.toml)
COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header pyproject.toml

# The parts of `make test-long`: the tests, as tests/test_NAME.py, whose campaigns follow the scale.
PART_images := anyres bmp cache decode decode_options generated_jpegs gif hostile images pool resize webp
PART_text := chat_templates encode index_check injections llama2_vectors llava_rules mixture own_templates \
	parquet prefix prompts record_files record_shapes records sentencepiece text tokenizer_kinds words
PART_loader := bad_samples batches budget counts ctrl_c data_resume faults index_build loader_contract pairs \
	plan resume_campaign shards soak sources threads
PART_models := checkpoint files generate hostile_models language llava ops packed_model streaming vision
PART_training := backbones default report resume run training world
# Needs a C++ compiler, and an hour of its own: not among `all`.
PART_fuzz := fuzz
PART_all := $(foreach part,images text loader models training,$(PART_$(part)))
LONG := $(patsubst %,tests/test_%.py,$(PART_$(PART)))

# A virtual environment that was moved or copied along with its folder still points to the old place.
ifneq ($(wildcard .venv),)
ifneq ($(shell cat .venv/.place 2>/dev/null),$(CURDIR))
MOVED := moved
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build run test test-long test-oldest bench lint wheel gpu-check lock clean moved

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	do printf '  make %-12s %s\n' "$$name" "$$what"; done

build: .venv/.built ## .venv with pinned packages (about 3 GB of downloads) and the Rust extension

run: build ## train the embedded default, or show its result when it is there
	@$(PY) -m training.run

test: build .venv/.test ## everything CI runs: cargo test, then pytest tests/
	cargo test --workspace --release --locked --quiet
	$(TEST_ENV) LLAVA_FAST_TEST_SCALE=$(SCALE) $(PY) -m pytest tests -n $(WORKERS) --dist loadfile -q

test-long: build .venv/.test ## the campaigns at full size: PART=images|text|loader|models|training|all|fuzz
	@test -n "$(LONG)" || { echo "no part \`$(PART)\`: images, text, loader, models, training, all or fuzz"; exit 2; }
	$(TEST_ENV) LLAVA_FAST_TEST_SCALE=1 $(PY) -m pytest $(LONG) \
		-n $(WORKERS) --dist loadfile -q --durations=10

test-oldest: .venv-oldest/.built ## the tests with the oldest supported torch, triton and transformers
	$(TEST_ENV) LLAVA_FAST_TEST_SCALE=$(SCALE) $(OLD) -m pytest tests -n $(WORKERS) --dist loadfile -q

bench: build .venv/.bench ## measure against the real peers, equality first; writes benches/results
	$(PY) -m pytest benches -q -s

lint: build .venv/.test ## cargo fmt, clippy, ruff, stubs against the extension
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy.stubtest llava_fast._rust

wheel: .venv/.run ## dist/*.whl (abi3: one file for Python 3.11 and later) and the sdist
	$(PY) -m maturin build --release --locked --sdist --out dist

gpu-check: ## checks and benches on a GPU machine: WHEEL=file.whl, DRY=1 for a CPU rehearsal
	$(or $(PYTHON),$(wildcard $(PY)),python3) -m benches.gpu_check \
		$(if $(DRY),--dry-run) $(if $(WHEEL),--wheel "$(WHEEL)")

lock: .venv/.uv ## make requirements/*.lock again from pyproject.toml; UPGRADE=1 takes the newest versions
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group build -o requirements/run.lock
	$(COMPILE) --group build --group test -c requirements/run.lock -o requirements/test.lock
	$(COMPILE) --group build --group test --group bench -c requirements/test.lock -o requirements/bench.lock
	$(COMPILE) --group build --group test --group oldest -o requirements/oldest.lock

clean: ## remove everything that was built or installed here
	rm -rf .venv .venv-oldest target dist python/llava_fast/_rust*.so

.venv/.uv: requirements/bootstrap.lock
	@python="$$(PYTHON="$(PYTHON)" sh requirements/tools.sh)" && \
	echo "creating .venv with $$python" && "$$python" -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

.venv/.run: requirements/run.lock .venv/.uv
	@echo "installing requirements/run.lock (about 3 GB the first time)"
	@$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r $<
	@touch $@

.venv/.test: requirements/test.lock .venv/.run
	@echo "installing requirements/test.lock"
	@$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r $<
	@touch $@

.venv/.bench: requirements/bench.lock .venv/.test
	@echo "installing requirements/bench.lock"
	@$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r $<
	@touch $@

.venv/.built: $(RUST) .venv/.run $(MOVED)
	@PYTHON="$(PYTHON)" sh requirements/tools.sh > /dev/null
	@echo "building the extension"
	@env -u CONDA_PREFIX VIRTUAL_ENV="$(CURDIR)/.venv" $(PY) -m maturin develop --uv --release --locked --quiet \
		> .venv/.build.log 2>&1 || { cat .venv/.build.log; exit 1; }
	@printf '%s' "$(CURDIR)" > .venv/.place
	@touch $@

# The extension is one file for every Python (abi3), built by `make build`: a path entry is enough.
.venv-oldest/.built: requirements/oldest.lock .venv/.built
	@python="$$(PYTHON="$(PYTHON)" sh requirements/tools.sh python3.12)" && \
	echo "creating .venv-oldest with $$python" && "$$python" -m venv --clear --without-pip .venv-oldest
	@echo "installing requirements/oldest.lock"
	@$(PY) -m uv pip install --quiet --python $(OLD) --require-hashes -r $<
	@$(OLD) -c 'import pathlib, sys, sysconfig; \
	pathlib.Path(sysconfig.get_path("purelib"), "llava_fast.pth").write_text(sys.argv[1])' "$(CURDIR)/python"
	@touch $@
