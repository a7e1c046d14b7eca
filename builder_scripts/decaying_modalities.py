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
"""Build the family decaying-modalities.

Ten images, one per class, that see the target ever less and share each other's sources (the paper's eq. 11 and Fig. 6),
for nine pairs of decays. Neighbours share hundreds to thousands of nats: no storage keeps them.

    python builder_scripts/decaying_modalities.py --out data/decaying-modalities --rows 100
    uv run builder_scripts/decaying_modalities.py --out data/decaying-modalities --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("decaying-modalities")
