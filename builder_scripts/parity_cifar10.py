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
"""Build the family parity-cifar10.

Pure synergy: the label is the parity (XOR) of the signs of two or three independent causes, and each image sees one of
them. Every proper subset of the images carries exactly nothing about the label. With images of CIFAR-10's classes.

    python builder_scripts/parity_cifar10.py --out data/parity-cifar10 --rows 100
    uv run builder_scripts/parity_cifar10.py --out data/parity-cifar10 --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("parity-cifar10")
