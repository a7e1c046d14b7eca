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
"""Build the family sometimes-missing.

One common cause of 1 nat; a row lacks each of two images with probability 0.1, 0.3 or 0.5, independently of all else.
The columns x1_missing and x2_missing say so; the image is then zeros, grey in the view, so that rows keep one type and
stack into batches. An image tells (1 - p) of what it would, both together the mean over what is there; no number was
filled in.

    python builder_scripts/sometimes_missing.py --out data/sometimes-missing --rows 100
    uv run builder_scripts/sometimes_missing.py --out data/sometimes-missing --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("sometimes-missing")
