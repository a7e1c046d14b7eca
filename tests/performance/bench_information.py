"""Prints how long tables of mutual information take, by structured and by dense algebra. Asserts nothing.

Run: python -m tests.performance.bench_information
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import time

import numpy as np

from mmmi_hf.causal import CausalModel, decaying_modalities


def table(model: CausalModel) -> list[float]:
    """I(x_i; y) of every modality, then I(x1; x_i) of every other."""
    names = model.modalities
    return [model.mutual_information(name, "y") for name in names] + [
        model.mutual_information(names[0], name) for name in names[1:]
    ]


def small(repeats: int = 7) -> tuple[float, float]:
    """Seconds for a model of 10 modalities × 3,072 dimensions and its table: the first time, and the median."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        table(decaying_modalities((3, 32, 32), modalities=10, alpha=1.2, beta=1.2))
        seconds.append(time.perf_counter() - begin)
    return seconds[0], sorted(seconds)[repeats // 2]


def large() -> tuple[float, float, int]:
    """Wall and processor seconds for 1,000 modalities × 150,528 dimensions and its table, and the number of calls."""
    wall, processor = time.perf_counter(), time.process_time()
    model = decaying_modalities((3, 224, 224), modalities=1000, alpha=1.02, beta=1.001)
    calls = len(table(model)) + (model.mutual_information("x2", "x1") > 0)
    return time.perf_counter() - wall, time.process_time() - processor, calls


def dense_information(covariance: np.ndarray, a: slice, b: slice) -> float:
    """I(a; b) by three log-determinants of a dense covariance."""
    joint = np.r_[a, b]

    def half_logdet(rows: np.ndarray) -> float:
        return float(np.sum(np.log(np.diagonal(np.linalg.cholesky(covariance[np.ix_(rows, rows)])))))

    return half_logdet(np.r_[a]) + half_logdet(np.r_[b]) - half_logdet(joint)


def against_dense(side: int, modalities: int = 3) -> tuple[float, float, float]:
    """Seconds of I(x1; x2) by dense and by structured algebra, and their relative difference."""
    shape = (1, side, side)
    size = math.prod(shape)
    model = decaying_modalities(shape, modalities=modalities, alpha=1.5, beta=1.2)
    begin = time.perf_counter()
    loading = np.concatenate([np.repeat(model.weights[i], size) for i in range(modalities)])
    covariance = np.kron(model.mixing @ model.mixing.T, np.eye(size)) + np.outer(loading, loading)
    dense = dense_information(covariance, slice(0, size), slice(size, 2 * size))
    middle = time.perf_counter()
    exact = model.mutual_information("x1", "x2")
    end = time.perf_counter()
    return middle - begin, end - middle, dense / exact - 1.0


def main() -> None:
    """Print every figure."""
    if sys.argv[1:] == ["large"]:
        wall, processor, calls = large()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"1,000 modalities × 150,528 dimensions, {calls} calls: {wall:.2f} s wall, {processor:.2f} s processor, "
            f"{peak:.2f} GiB peak (goal 2 s, 1 GB)"
        )
        return
    first, median = small()
    print(
        f"10 modalities × 3,072 dimensions, 19 quantities, model included: first {1e3 * first:.1f} ms, "
        f"median {1e3 * median:.1f} ms (goal 20 ms)"
    )
    subprocess.run([sys.executable, "-m", "tests.performance.bench_information", "large"], check=True)
    for side in (8, 16, 24, 32):
        dense, structured, difference = against_dense(side)
        print(
            f"I(x1; x2) at {side * side} dimensions: dense {1e3 * dense:.1f} ms, structured {1e3 * structured:.2f} ms, "
            f"ratio {dense / structured:.0f}, relative difference {difference:.1e}"
        )


if __name__ == "__main__":
    main()
