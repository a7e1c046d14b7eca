"""Drawings of causal models and of data, from models and arrays alone; knows no configurations or datasets.

Every function returns a matplotlib Figure, made without pyplot; `save` writes it as PNG, PDF or SVG, the same bytes
each time.
"""

from __future__ import annotations

from mmmi_hf.figures import style
from mmmi_hf.figures.causal_graph import causal_graph
from mmmi_hf.figures.decay import DecaySetting, decay_curves, decay_series
from mmmi_hf.figures.information_table import information_table
from mmmi_hf.figures.overview import family_overview
from mmmi_hf.figures.pointwise import pointwise_histograms
from mmmi_hf.figures.style import check_formats, save
from mmmi_hf.figures.template_maps import template_gallery, templates_and_maps
from mmmi_hf.figures.tuples import tuple_grid

__all__ = [
    "DecaySetting",
    "causal_graph",
    "check_formats",
    "decay_curves",
    "decay_series",
    "family_overview",
    "information_table",
    "pointwise_histograms",
    "save",
    "style",
    "template_gallery",
    "templates_and_maps",
    "tuple_grid",
]
