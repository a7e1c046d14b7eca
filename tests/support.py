"""What tests of several rooms share: where the repository lies, generation without the card's figures, bare latents,
and folders or addresses as a whole."""

import hashlib
from pathlib import Path

import fsspec

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


def tree(place):
    """Name → digest of every file of a folder or at an address."""
    files, root = fsspec.url_to_fs(str(place))
    return {
        name.removeprefix(root).lstrip("/"): hashlib.sha256(files.cat_file(name)).hexdigest()
        for name in files.find(root)
    }


def change(place, name, content):
    """Damage a file from outside: `content` makes new bytes of old ones."""
    files, root = fsspec.url_to_fs(str(place))
    files.pipe_file(f"{root}/{name}", content(files.cat_file(f"{root}/{name}")))
