"""What tests of several rooms share: where the repository lies, generation without the card's figures, bare latents."""

from pathlib import Path

from mmmi_hf import MMMIConfig, Modality
from mmmi_hf.dataset import assembly

ROOT = Path(__file__).parents[1]


def generate(config, out, **options):
    """`mmmi_hf.generate` without figures, which take longer than the few rows of a test, and without progress bars."""
    return assembly.generate(config, out, **({"figures": False, "progress": False} | options))


def bare(name, model, *, rows, seed, **fields):
    """A configuration whose two modalities are the latents of a causal model."""
    pair = (Modality("identity"), Modality("identity"))
    return MMMIConfig(name=name, causal_model=model, modalities=pair, rows=rows, seed=seed, **fields)
