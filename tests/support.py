"""What tests of several rooms share: where the repository lies, and generation without the card's figures."""

from pathlib import Path

from mmmi_hf.dataset import assembly

ROOT = Path(__file__).parents[1]


def generate(config, out, **options):
    """`mmmi_hf.generate` without figures, which take longer than the few rows of a test, and without progress bars."""
    return assembly.generate(config, out, **({"figures": False, "progress": False} | options))
