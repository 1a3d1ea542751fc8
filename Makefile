# Everything a developer runs. `make demo` and `make test` set up what is missing by themselves.
.PHONY: setup demo test fast check bench image clean

setup:
	@.ci/setup

demo: setup
	@.venv/bin/nodemesh demo

test: setup
	@.venv/bin/python -m pytest tests

fast: setup
	@.venv/bin/python -m pytest tests/unit tests/playbooks tests/properties tests/conformance

check: setup
	@.venv/bin/ruff check agent tests
	@.venv/bin/ruff format --check agent tests
	@.venv/bin/mypy

bench: setup
	@.venv/bin/python -m tests.bench

image: setup
	@command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null
	@manifests/image/assemble build/image nodemesh doctor

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis agent/*.egg-info
