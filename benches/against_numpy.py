"""Thompson sampling and UCB1 as somebody would write them in numpy, vectorised over replications,
beside the medians of the last `cargo bench -p flakelab-sim --bench attempts`.

    python benches/against_numpy.py [REPLICATIONS] [CRITERION_FOLDER]

numpy decides, tosses the coin and counts; flakelab's figure is a complete attempt with events, ledger
and latency ("tape ready"). Both are nanoseconds of one thread.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

SERVERS, REQUESTS = 10, 1_000


def play(decide, replications, seed):
    """Nanoseconds for a decision, its coin and its count."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.25, 0.98, (replications, SERVERS))
    successes = np.zeros((replications, SERVERS))
    attempts = np.zeros((replications, SERVERS))
    rows = np.arange(replications)
    start = time.process_time()
    for t in range(REQUESTS):
        server = decide(rng, successes, attempts, t)
        success = rng.random(replications) < rates[rows, server]
        attempts[rows, server] += 1
        successes[rows, server] += success
    return (time.process_time() - start) / (REQUESTS * replications) * 1e9


def thompson(rng, successes, attempts, _):
    return rng.beta(successes + 1, attempts - successes + 1).argmax(axis=1)


def ucb1(_, successes, attempts, t):
    if t < SERVERS:
        return np.full(len(attempts), t)
    return (successes / attempts + np.sqrt(2 * np.log(t) / attempts)).argmax(axis=1)


def flakelab(folder, label):
    path = folder / "attempt" / "tape ready" / label / "new" / "estimates.json"
    if not path.exists():
        return None
    return json.loads(path.read_text())["median"]["point_estimate"]


def main():
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "target/criterion")
    print(f"numpy {np.__version__}, {replications} replications at a time, medians of 5")
    for name, decide, label in [("Thompson", thompson, "V4 thompson"), ("UCB1", ucb1, "V2 ucb1")]:
        ns = float(np.median([play(decide, replications, seed) for seed in range(5)]))
        ours = flakelab(folder, label)
        beside = f", flakelab {ours:.0f} ns: {ns / ours:.1f} times" if ours else ""
        print(f"{name:9} numpy {ns:.0f} ns{beside}")


if __name__ == "__main__":
    main()
