"""Prints the rate of latents against the bare random-number generator, in one run. Asserts nothing.

Run: python -m tests.performance.bench_latents
"""

from __future__ import annotations

import math
import time

import numpy as np

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities, two_telescopes


def rate_of_generator(count: int) -> float:
    """Standard normals per second of numpy's Generator(Philox)."""
    generator, out = np.random.Generator(np.random.Philox(1)), np.empty(count)
    begin = time.process_time()
    generator.standard_normal(out=out)
    return count / (time.process_time() - begin)


def rate_of_latents(model: CausalModel, rows: int, standardize: str) -> float:
    """Normals behind the latents per second of `sample`."""
    size = math.prod(model.shapes["x1"])
    normals = rows * (len(model.eta) + model.mixing.shape[1] * size)
    begin = time.process_time()
    model.sample(rows, seed=1, standardize=standardize)
    return normals / (time.process_time() - begin)


def main(repeats: int = 7) -> None:
    """Print the ratio of every model and standardisation: the median of interleaved runs, in processor time."""
    for shape, rows in (((1, 32, 32), 2000), ((3, 32, 32), 700)):
        models = {
            "common cause": common_cause(shape, mi=1.0),
            "two telescopes": two_telescopes(shape),
            "decaying pair": decaying_modalities(shape, modalities=2, alpha=2.0),
        }
        for name, model in models.items():
            for kind in ("whiten", "rms", "none"):
                ratios, rates = [], []
                for _ in range(repeats):
                    bare = rate_of_generator(rows * 2 * math.prod(shape))
                    rates.append(rate_of_latents(model, rows, kind))
                    ratios.append(rates[-1] / bare)
                print(
                    f"{name}, pairs of {shape}, {kind}: {sorted(rates)[repeats // 2] / 1e6:.0f} million normals/s, "
                    f"{sorted(ratios)[repeats // 2]:.2f} of the bare generator (goal 0.5)"
                )


if __name__ == "__main__":
    main()
