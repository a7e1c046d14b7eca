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
"""Build the family shifted.

Distribution shift of known size: one common cause as it was observed, to train on, and under interventions on its
standard deviation, to test on. Made together (`mmmi-hf generate-family`), `load_dataset` also reads NAME-from-shifted-
observed: train and validation as observed, the test split under the intervention of NAME, KL(x1,x2) nats away; a claim
and a certificate are of one law, so that each is that of the configuration which has the rows. Latents are whitened by
the observed law in all of them, so that under an intervention they leave the law that the pipeline was trained on by
the same known amount: images there may be less realistic, tests go by the law of the intervention, and floors rest on
the folder's own inverses.

    python builder_scripts/shifted.py --out data/shifted --rows 100
    uv run builder_scripts/shifted.py --out data/shifted --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("shifted")
