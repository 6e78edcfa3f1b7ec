# What people do with this project, one target each. `make help` lists them.

PYTHON ?= python3
VENV := notebooks/.venv
# Without times, so that equal results give equal notebooks.
NOTEBOOK := cd notebooks && .venv/bin/jupyter nbconvert --to notebook --execute --ExecutePreprocessor.record_timing=False

.PHONY: help check test test-checked sweep live live-calibration fit validate anchors calibration law bench reference catalogue notebooks clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

check:  ## formatting, lints, docs, tests: run it before every commit
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test

test:  ## the tests
	cargo test

test-checked:  ## the tests with debug assertions and overflow checks (a second build)
	cargo test --profile checked

sweep:  ## the main job: five strategies, 1000 seeds, config 0
	cargo run -- sweep --strategy all --seeds 1000

live:  ## the five strategies in front of stand-in servers, predicted before and judged after
	cargo run -- live --config 0

live-calibration:  ## 200 live runs: are the predictions of them calibrated? minutes
	cargo test --test suite -- --ignored --nocapture --test-threads 1 live_calibration

fit:  ## models from recordings: make fit TRACES='path/to/*.csv'
	@test -n "$(TRACES)" || { echo "say which recordings: make fit TRACES='path/to/*.csv'" >&2; exit 2; }
	cargo run -- fit $(TRACES) --out models

validate:  ## are recorded runs predicted by the others? make validate TRACES='path/to/*.csv'
	@test -n "$(TRACES)" || { echo "say which recordings: make validate TRACES='path/to/*.csv'" >&2; exit 2; }
	cargo run -- validate $(TRACES)

calibration:  ## does the fit hold what it promises? an hour; writes results/calibration/report.md (STUDY=delays: one section)
	cargo test --test calibration -- --ignored --exact --nocapture calibration

anchors:  ## 20,000 replications against an independent implementation and exact values
	cargo test --test suite -- --ignored --nocapture anchors

law:  ## ten million Thompson decisions for each of several beliefs against their exact chances
	cargo test -p flakelab-core --lib -- --ignored --nocapture ten_million

bench:  ## nanoseconds per attempt, replications per second, ratio to a naive loop
	cargo bench -p flakelab-sim

reference:  ## results/reference, which a test compares byte for byte
	cargo run -- sweep --experiment experiments/reference.toml --out results/reference --force

catalogue:  ## every strategy in every scenario: results/reference/catalogue.md; minutes
	cargo run -- sweep --experiment experiments/catalogue.toml --quiet --format md --out results/catalogue --force > results/catalogue.md
	mv results/catalogue.md results/reference/catalogue.md

notebooks:  ## runs the notebooks in a virtual environment of their own, and on results/reference
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement notebooks/requirements.txt
	cargo run -- sweep --strategy all --seeds 1000 --out results/notebook --force
	-cargo run -- live --config all --rps 50 --port-base 0 --out results/notebook-live --force
	$(NOTEBOOK) --inplace sweep.ipynb
	export FLAKELAB_RESULTS=results/notebook-live; $(NOTEBOOK) --inplace live.ipynb
	export FLAKELAB_RESULTS=results/reference; $(NOTEBOOK) --stdout sweep.ipynb > /dev/null
	export FLAKELAB_RESULTS=results/reference; $(NOTEBOOK) --stdout live.ipynb > /dev/null

clean:  ## everything that can be made again
	cargo clean
	rm -rf $(VENV) results/sweep-* results/live-* results/notebook results/notebook-live results/catalogue
