PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/ready
	$(BIN)/glue demo

test: .venv/ready lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --ignore tests/jobs/test_ray_and_slurm.py
	$(BIN)/pytest tests/jobs/test_ray_and_slurm.py  # a Ray cluster in one machine wants it for itself

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis
