"""The API reference: a page of HTML for every public module.

    python -m tests.reference.build    # into build/docs, as `make docs` does

Owns which modules are public; what they offer is their `__all__`, and what is said of it its docstrings.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pdoc.doc
import pdoc.render

from mmmi_hf import __version__

PUBLIC = (
    "mmmi_hf",
    "mmmi_hf.causal",
    "mmmi_hf.causal.design",
    "mmmi_hf.causal.quantities",
    "mmmi_hf.causal.shifts",
    "mmmi_hf.causal.targets",
    "mmmi_hf.causal.templates",
    "mmmi_hf.flow",
    "mmmi_hf.dataset",
    "mmmi_hf.hub",
    "mmmi_hf.benchmark",
    "mmmi_hf.explorer",
    "mmmi_hf.figures",
    "mmmi_hf.testing",
    "mmmi_hf.testing.bijections",
    "mmmi_hf.testing.laws",
)


class PublicModule(pdoc.doc.Module):
    """A module as the reference shows it: the public ones below it are what it is divided into."""

    @cached_property
    def submodules(self) -> list[pdoc.doc.Module]:
        """The public modules directly below this one."""
        return [PublicModule(opened(name)) for name in PUBLIC if name.rpartition(".")[0] == self.fullname]


def opened(name: str) -> ModuleType:
    """A module with all that it offers, which lazy packages import when it is first used."""
    module = importlib.import_module(name)
    for offered in getattr(module, "__all__", ()):
        setattr(module, offered, getattr(module, offered))
    return module


def build(folder: Path) -> list[Path]:
    """Write the pages, and an index of all names to search; returns the pages."""
    pdoc.render.configure(
        docformat="google",
        show_source=False,
        footer_text=f"mmmi_hf {__version__}",
        template_directory=Path(__file__).parent / "templates",
    )
    modules: dict[str, pdoc.doc.Module] = {name: PublicModule(opened(name)) for name in PUBLIC}
    pages = [folder / f"{name.replace('.', '/')}.html" for name in modules]
    for page, module in zip(pages, modules.values(), strict=True):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(pdoc.render.html_module(module, modules), encoding="utf-8")
    (folder / "index.html").write_text(pdoc.render.html_index(modules), encoding="utf-8")
    (folder / "search.js").write_text(pdoc.render.search_index(modules), encoding="utf-8")
    return pages


if __name__ == "__main__":
    place = Path("build", "docs")
    print(f"{len(build(place))} pages in {place}; begin with index.html")
