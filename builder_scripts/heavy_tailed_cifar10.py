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
"""Build the family heavy-tailed-cifar10.

One common cause of 1 nat, and a common scale of the target and of some or all directions of both images: together they
are multivariate Student, each image by itself is made Gaussian again. What the scale adds, no correlation shows. With
images of CIFAR-10's classes.

    python builder_scripts/heavy_tailed_cifar10.py --out data/heavy-tailed-cifar10 --rows 100
    uv run builder_scripts/heavy_tailed_cifar10.py --out data/heavy-tailed-cifar10 --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("heavy-tailed-cifar10")
