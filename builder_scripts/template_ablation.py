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
"""Build the family template-ablation.

The same information at different places (the paper's eq. 12): two images with a cause that is the target and a second
one that they share without it; only the template of the first varies.

    python builder_scripts/template_ablation.py --out data/template-ablation --rows 100
    uv run builder_scripts/template_ablation.py --out data/template-ablation --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("template-ablation")
