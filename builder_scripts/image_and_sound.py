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
"""Build the family image-and-sound.

An image and a sound, a note of an instrument, with one common cause that is homogeneous in the latents of both, at four
levels of information.

    python builder_scripts/image_and_sound.py --out data/image-and-sound --rows 100
    uv run builder_scripts/image_and_sound.py --out data/image-and-sound --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("image-and-sound")
