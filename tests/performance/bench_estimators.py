"""Prints the processor seconds of one cell per estimator, and what a plan of cells would take. Asserts nothing.

Run: python -m tests.performance.bench_estimators [--side 32] [--rows 4000] [--steps 100]

Processor time, not wall time, so that other programs disturb little; networks run on one thread, as in the benchmark.
The steps that early stopping takes are not known beforehand: `--full-steps` states how many to reckon with.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np

from mmmi_hf import common_cause
from mmmi_hf.benchmark import ExactPairs, Pairs, Training, make_estimator
from mmmi_hf.benchmark.estimator import setting_types
from mmmi_hf.benchmark.networks.training import one_thread
from mmmi_hf.benchmark.registry import estimator_class

NAMES = ("dv", "js", "infonce", "mine", "nwj", "smile-1", "smile-5", "smile-inf", "ba", "cca", "pca-ksg", "ksg")
ORACLES = ("oracle-ksg", "oracle-dv")


def data(side: int, rows: int, pair: tuple[str, str]) -> list[Pairs]:
    """Training, validation and test rows of bare latents of one nat."""
    model = common_cause((1, side, side), mi=1.0)
    counts = (rows, rows // 8, rows // 8)
    latents = model.sample(sum(counts), seed=0)
    blocks = [latents.y if name == "y" else latents.z[name].astype(np.float32) for name in pair]
    pairs = Pairs(blocks[0], blocks[1], ExactPairs.of(model, latents, *pair))
    ends = np.cumsum((0, *counts))
    return [pairs.take(np.arange(*ends[i : i + 2])) for i in range(3)]


def seconds(name: str, parts: list[Pairs], training: Training, full_steps: int) -> float:
    """Processor seconds of one cell, training carried on to the full number of steps."""
    trained = "training" in setting_types(estimator_class(name))
    estimator = make_estimator(name, **({"training": training} if trained else {}))
    begin = time.process_time()
    estimator.fit(parts[0], parts[1], seed=0)
    middle = time.process_time()
    estimator.estimate(parts[2])
    scale = full_steps / training.steps if trained else 1.0
    return scale * (middle - begin) + time.process_time() - middle


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rows", type=int, default=4000, help="training rows; an eighth each to stop and to test")
    parser.add_argument("--steps", type=int, default=100, help="steps that are timed")
    parser.add_argument("--full-steps", type=int, default=700, help="steps to reckon with")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--encoders", default="mlp,conv")
    parser.add_argument("--estimators", default=",".join((*NAMES, *ORACLES)))
    options = parser.parse_args()
    for pair in (("x1", "y"), ("x1", "x2")):
        parts = data(options.side, options.rows, pair)
        for kind in options.encoders.split(","):
            training = Training(encoder=kind, batch_size=options.batch_size, steps=options.steps, patience=10**6)
            print(f"I({pair[0]}; {pair[1]}), {options.side}×{options.side}, {options.rows:,} training rows, {kind}")
            first: float | None = None
            seconds("dv", parts, dataclasses.replace(training, steps=2), 2)  # what is paid once
            with one_thread():
                for name in options.estimators.split(","):
                    spent = seconds(name, parts, training, options.full_steps)
                    first = first or spent
                    print(f"  {name:10s} {spent:7.1f} s of one core, {spent / first:5.2f} × the first", flush=True)


if __name__ == "__main__":
    main()
