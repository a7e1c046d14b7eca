# /// script
# requires-python = ">=3.11"
# dependencies = ["mmmi-hf"]
#
# [tool.uv]
# constraint-dependencies = ["torch==2.13.0"]
#
# [tool.uv.sources]
# mmmi-hf = { path = "..", editable = true }
# ///
"""Build the family regimes.

A categorical cause: three regimes of probability 0.5, 0.3 and 0.2, which lie along the templates of two images in
different order. The label is the regime. Latents are a mixture along the template, made Gaussian by a bijection.

    python builder_scripts/regimes.py --out data/regimes --rows 100
    uv run builder_scripts/regimes.py --out data/regimes --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("regimes")
