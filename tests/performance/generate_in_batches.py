"""`mmmi-hf` with micro-batches of another size than the package's, to measure what a device wants.

Run: python -m tests.performance.generate_in_batches SIZE generate CONFIGURATION --out FOLDER …

For benchmarks only: another size makes other last bits, and the folder's manifest says so.
"""

from __future__ import annotations

import sys

from mmmi_hf.dataset.generation import rows


def set_micro_batch(size: int) -> None:
    """Before any other module reads the size."""
    rows.MICRO_BATCH = size


if __name__ == "__main__":
    set_micro_batch(int(sys.argv.pop(1)))
    from mmmi_hf.cli import main

    main()
