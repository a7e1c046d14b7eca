"""A page to play with: design models, look at rows, read datasets, compare estimators.

Reads data sets and results as any user does; may use causal/ and what dataset/ offers, never flow/. Gradio (the extra
`explorer`) is imported where the page is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.explorer.launching import launch
    from mmmi_hf.explorer.page import page
    from mmmi_hf.explorer.surroundings import Surroundings

__all__ = ["Surroundings", "launch", "page"]

__getattr__, __dir__ = lazy_names(__name__, __file__)
