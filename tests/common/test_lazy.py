"""Lazy packages offer what their imports for type checkers name, and nothing is imported before it is used."""

import importlib
import subprocess
import sys

import pytest

from mmmi_hf.common.lazy import offered

PACKAGES = ["mmmi_hf", "mmmi_hf.benchmark", "mmmi_hf.dataset", "mmmi_hf.flow", "mmmi_hf.hub"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_is_there(name):
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    for each in package.__all__:
        assert getattr(package, each) is not None
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_only_imports_for_type_checkers_are_offered():
    lines = ("from a import b", "if TYPE_CHECKING:", "    import c", "    from d.e import f, g as h", "if other:")
    source = "\n".join((*lines, "    from i import j"))
    assert offered(source) == {"f": ("d.e", "f"), "h": ("d.e", "g")}


def test_packages_import_nothing_before_it_is_used():
    program = (
        f"import sys; [__import__(name) for name in {PACKAGES}]; "
        "print(*sorted(name for name in sys.modules if name.startswith('mmmi_hf') or name in ('torch', 'datasets')))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.split() == sorted([*PACKAGES, "mmmi_hf.common", "mmmi_hf.common.lazy"])
