"""What rows 0 and 1 of every version of every released configuration are, by digests that were taken once.

`python -m tests.dataset.generation.test_released_bytes [PATTERN]` prints those whose "name version" matches as JSON: a
digest over the Arrow buffers of every column of a configuration, and one of all. Those of 1.0.0 were taken before the
package was rearranged. They hold on the hardware and software that the file names; elsewhere networks round otherwise,
and the test is skipped. Where only `blas` differs, OPENBLAS_CORETYPE chooses the kernels that the file names: without
that the last digits of pointwise information differ, and nothing else.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from mmmi_hf.dataset.generation.rows import blas, load_bijections, make_rows
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations, list_versions
from mmmi_hf.flow.devices import hardware

RECORDED = Path(__file__).with_name("released_bytes.json")
PACKAGES = ("torch", "numpy", "diffusers", "pillow")


def circumstances() -> dict[str, str]:
    """What the bits of a row depend on."""
    return {
        "hardware": hardware(torch.device("cpu")),
        "blas": blas(),
        **{name: version(name).split("+")[0] for name in PACKAGES},
    }


def buffers_of(array: pa.Array) -> bytes:
    """The content of a column: its values without offsets into shared buffers or unused bits."""
    whole = pa.concat_arrays([array.storage if isinstance(array, pa.ExtensionArray) else array])
    return b"".join(bytes(buffer) for buffer in whole.buffers() if buffer is not None)


def releases() -> list[str]:
    """ "name version" of all that can be made."""
    return [f"{name} {each}" for name in list_configurations() for each in list_versions(name)]


def digest_of(release: str) -> str:
    """SHA-256 over rows 0 and 1 of a released configuration: floats, views, y and pointwise information."""
    name, number = release.split()
    config = get_configuration(name, version=number)
    table = make_rows(config, 0, 2, bijections=load_bijections(config, device="cpu"))
    digest = hashlib.sha256()
    for column in table.column_names:
        digest.update(column.encode())
        digest.update(buffers_of(table[column].combine_chunks()))
    return digest.hexdigest()


def of_all(digests: dict[str, str]) -> str:
    """One digest of all configurations."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("release", releases())
def test_rows_are_those_that_were_released(release):
    recorded = json.loads(RECORDED.read_text())
    if circumstances() != recorded["circumstances"]:
        kernels = recorded["circumstances"]["blas"].split()[-1]
        other = f"recorded on {recorded['circumstances']}, this is {circumstances()}"
        pytest.skip(f"{other}; OPENBLAS_CORETYPE={kernels} may be enough")
    torch.set_num_threads(1)
    assert digest_of(release) == recorded["configurations"][release]


def test_every_released_configuration_has_a_digest():
    recorded = json.loads(RECORDED.read_text())
    assert sorted(recorded["configurations"]) == sorted(releases())
    assert of_all(recorded["configurations"]) == recorded["all"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {}
    for each in fnmatch.filter(releases(), sys.argv[1] if len(sys.argv) > 1 else "*"):
        found[each] = digest_of(each)
        print(each, found[each], file=sys.stderr, flush=True)
    print(json.dumps({"circumstances": circumstances(), "all": of_all(found), "configurations": found}, indent=2))
