"""Small configurations and folders, and the program that publishes them in a client."""

from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from tests.support import generate

TOKEN = "hf_thistokenmustnevershowup"

PUBLISH = """
import dataclasses
from mmmi_hf.hub.client.retries import Backoff
from mmmi_hf.hub.client.errors import HubRequestError
options = eval(args[2]) if len(args) > 2 else {}
options.setdefault("backoff", Backoff(base=0.02, limit=0.2))
options.setdefault("measure", False)  # what is measured is the certificate's to test; here it is what is sent
try:
    print_json(dataclasses.asdict(publish(args[0], args[1], progress=False, **options)))
except HubRequestError as error:
    print_json({"refused": type(error).__name__, "why": str(error)})
"""


def configuration(name, *, seed=11, mi=1.0, rows=60, version="1.0.0", **fields):
    """Two 1×6×6 images through the identity."""
    return MMMIConfig(
        name=name,
        version=version,
        description=f"The test configuration {name}.",
        causal_model={"story": "common_cause", "shape": [1, 6, 6], "mi": mi},
        modalities=(Modality("identity"), Modality("identity")),
        rows=rows,
        seed=seed,
        **fields,
    )


def make(folder, *configs):
    """Generate configurations into a folder, without the card's figures."""
    for config in configs:
        generate(config, folder)
    return folder
