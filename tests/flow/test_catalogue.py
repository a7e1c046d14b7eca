"""Bijections by name: a new element-wise map is one new file, and a device is checked whatever the bijection."""

import subprocess
import sys

import pytest
import torch

from mmmi_hf.flow import catalogue, elementwise, elementwise_bijections, load_bijection
from mmmi_hf.testing.bijections import check_bijection

DOUBLING = """
from mmmi_hf.flow.elementwise._base import ElementwiseBijection

class DoublingBijection(ElementwiseBijection):
    name = "doubling"
    definition = "x = 2 z"

    def _forward(self, z):
        return 2 * z

    def _inverse(self, x):
        return x / 2
"""


@pytest.fixture
def more(tmp_path, monkeypatch):
    """A place whose files count as files of elementwise/."""
    monkeypatch.setattr(elementwise, "__path__", [*elementwise.__path__, str(tmp_path)])
    catalogue.elementwise_bijections.cache_clear()
    yield tmp_path
    catalogue.elementwise_bijections.cache_clear()
    for name in [name for name in sys.modules if name.startswith("mmmi_hf.flow.elementwise.one_")]:
        del sys.modules[name]


def test_names_are_known_without_torch():
    script = (
        "import sys; from mmmi_hf.flow.catalogue import elementwise_bijections; "
        "print(*elementwise_bijections()); assert 'torch' not in sys.modules"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["asinh", "half-cube", "identity", "normal-cdf"]


def test_a_new_map_is_one_new_file(more):
    (more / "one_doubling.py").write_text(DOUBLING)
    bijection = load_bijection("doubling", (3, 4))
    assert (type(bijection).__name__, list(elementwise_bijections())[1]) == ("DoublingBijection", "doubling")
    check_bijection(bijection)


@pytest.mark.parametrize(
    "content", ["", DOUBLING.replace('"doubling"', '"asinh"'), DOUBLING + DOUBLING.replace("Dou", "Tri")]
)
def test_a_file_without_a_map_of_its_own_is_refused(more, content):
    (more / "one_wrong.py").write_text(content)
    with pytest.raises(TypeError, match=r"elementwise\.one_wrong must define one element-wise bijection with a name"):
        elementwise_bijections()


@pytest.mark.parametrize("device", ["nonsense", "", "cuda:9", "cpu:1:2"])
@pytest.mark.parametrize("name", ["identity", "fashion-mnist"])
def test_a_device_is_one_that_can_be_used_whatever_the_bijection(name, device):
    with pytest.raises(ValueError, match="device must be one that torch can use here, got ") as caught:
        load_bijection(name, (1, 32, 32), device=device)
    assert "\n" not in str(caught.value)


def test_failures_of_a_formula_are_rows_of_nan():
    bijection = load_bijection("asinh", (2,))
    images = torch.tensor([[1.0, 2.0], [95.0, 0.0], [3.0, 4.0]])
    back = bijection.invert(images, on_failure="nan")
    assert back[1].isnan().all(), "the whole row"
    assert torch.equal(back[[0, 2]], bijection.invert(images[[0, 2]]))
    assert bijection.network is None
