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
"""Build the family shifted-cifar10.

Distribution shift of known size: a common cause as observed (train) and under interventions on its scale (test). Made
together (`mmmi-hf generate-family`), `load_dataset` also reads NAME-from-shifted-observed-cifar10: train and validation
as observed, test under the intervention, KL(x1,x2) nats away; each certificate is of one law. Latents are whitened by
the observed law: under an intervention images may be less realistic, tests go by its law, floors rest on the folder's
inverses. With images of CIFAR-10's classes.

    python builder_scripts/shifted_cifar10.py --out data/shifted-cifar10 --rows 100
    uv run builder_scripts/shifted_cifar10.py --out data/shifted-cifar10 --rows 100

--publish OWNER/NAME --version 1.0.0 publishes it. builder_scripts/README.md says how `uv` gets the CPU build of torch,
and how to run this on Hub Jobs. `python -m mmmi_hf.cli.cards` writes this file.
"""

from mmmi_hf.cli.family import build_family

if __name__ == "__main__":
    build_family("shifted-cifar10")
