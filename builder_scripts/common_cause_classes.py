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
"""Build the family common-cause-classes.

One common cause with a homogeneous template (the paper's eq. 2) whose value falls into two or ten equally likely
classes, at ten levels of information. The posterior of the classes is known exactly.

    python builder_scripts/common_cause_classes.py --out data/common-cause-classes --rows 100
    uv run builder_scripts/common_cause_classes.py --out data/common-cause-classes --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("common-cause-classes")
