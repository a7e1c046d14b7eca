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
"""Build the family image-sound-series.

Three kinds of modality that see one cause ever less: an image, a sound and a time series.

    python builder_scripts/image_sound_series.py --out data/image-sound-series --rows 100
    uv run builder_scripts/image_sound_series.py --out data/image-sound-series --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("image-sound-series")
