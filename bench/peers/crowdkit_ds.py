#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Dawid-Skene of the package crowd-kit on a file of votes, for comparison with bench/votes.c.

Uses the packages `crowd-kit`, `pandas` and `numpy` of the Python that runs it (all are on the Python
package index).  Writes a file first if asked to: the same for both sides.

    bench/peers/crowdkit_ds.py --write 1000000 votes.csv
    DEQ_BENCH_VOTES=votes.csv deq-bench votes
    bench/peers/crowdkit_ds.py --iterations 3 votes.csv

An iteration of one is a pass over the votes of the other, so votes times passes a second compare.
Prints one JSON record.
"""
import argparse
import json
import sys
import time

try:
    import numpy as np
    import pandas as pd
except ImportError as error:
    sys.exit(f"this comparison needs the packages crowd-kit, pandas and numpy: {error}")

WORKERS, PER_TASK, LABELS = 10000, 10, 4


def write(path, tasks):
    """Votes like those of bench/votes.c: worker w is right with probability (35 + w mod 60) %."""
    rng = np.random.default_rng(1)
    with open(path, "w", encoding="ascii") as file:
        file.write("task,worker,label\n")
        for start in range(0, tasks, 100000):
            n = min(100000, tasks - start)
            task = np.repeat(np.arange(start, start + n), PER_TASK)
            truth = np.repeat(rng.integers(0, LABELS, n), PER_TASK)
            worker = rng.integers(0, WORKERS, n * PER_TASK)
            right = rng.integers(0, 100, n * PER_TASK) < 35 + worker % 60
            wrong = (truth + rng.integers(1, LABELS, n * PER_TASK)) % LABELS
            label = np.where(right, truth, wrong)
            rows = zip(task.tolist(), worker.tolist(), label.tolist())
            file.write("".join("t%d,w%d,%d\n" % row for row in rows))


def measure(path, iterations, tolerance):
    try:
        from crowdkit import __version__
        from crowdkit.aggregation import DawidSkene
    except ImportError as error:
        sys.exit(f"this comparison needs the package crowd-kit: {error}")
    begin = time.perf_counter()
    votes = pd.read_csv(path)
    read = time.perf_counter() - begin
    begin = time.perf_counter()
    model = DawidSkene(n_iter=iterations, tol=tolerance).fit(votes)
    fit = time.perf_counter() - begin
    done = len(model.loss_history_)
    return {
        "package": "crowd-kit", "version": __version__, "votes": len(votes), "read_s": read,
        "fit_s": fit, "iterations": done, "votes_per_s": len(votes) * done / fit,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="votes: task,worker,label")
    parser.add_argument("--write", type=int, metavar="TASKS", help="write the file, no more")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    if args.write:
        write(args.file, args.write)
    else:
        print(json.dumps(measure(args.file, args.iterations, args.tolerance)))


if __name__ == "__main__":
    main()
