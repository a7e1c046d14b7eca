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
"""Build the family interactions-cifar10.

Two images that carry 0.25 nats about a label of two classes together, in four ways: all redundant, all unique to the
first, all synergistic, or mixed. Fusion methods can be told apart by which they see. With images of CIFAR-10's classes.

    python builder_scripts/interactions_cifar10.py --out data/interactions-cifar10 --rows 100
    uv run builder_scripts/interactions_cifar10.py --out data/interactions-cifar10 --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("interactions-cifar10")
