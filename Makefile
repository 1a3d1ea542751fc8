# Everything a developer runs. `make demo` and `make test` set up what is missing by themselves.
# `make demo KEEP=1` leaves the demo running.
# With NODEMESH_COMPILE=1, tests and bench run on the hot path compiled by mypyc (into build/compiled).
.PHONY: setup compiled demo test fast check bench instructions kernels image clean

agent := agent
built := setup
coverage :=
ifeq ($(NODEMESH_COMPILE),1)
agent := build/compiled
built := compiled
coverage := no-coverage
export PYTHONPATH := $(CURDIR)/$(agent)
endif

setup:
	@.ci/setup

compiled: setup
	@NODEMESH_COMPILE=1 .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --upgrade \
		--target build/compiled .

demo:
	@.ci/setup demo
	@.venv/bin/nodemesh demo $(if $(KEEP),--keep)

test: $(built)
	@.ci/lanes $(agent) $(coverage)

fast: $(built)
	@.venv/bin/python -m pytest -o pythonpath="$(agent) ." tests/unit tests/playbooks tests/properties tests/conformance

check: setup
	@.venv/bin/ruff check agent tests
	@.venv/bin/ruff format --check agent tests
	@.venv/bin/mypy

# `make bench BENCH='--suite http --json run.json'`
bench: $(built)
	@.venv/bin/python -m tests.bench $(BENCH)

# What a request, a call and a relayed connection cost in instructions, plain and compiled, beside what is kept of it.
# `make instructions KEEP=--keep` keeps the figures: before a change, and after it where more is meant.
instructions: compiled
	@.venv/bin/python -m tests.bench --suite instructions $(KEEP)
	@NODEMESH_COMPILE=1 .venv/bin/python -m tests.bench --suite instructions $(KEEP)

# The eBPF tests on the kernels that the distribution offers, in virtual machines: some minutes each. See vagrant/.
kernels: setup
	@TABLE=bpf/README.md vagrant/boot

image: setup
	@manifests/image/assemble build/image
	@manifests/image/assemble build/image nodemesh doctor

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis agent/*.egg-info
