"""To whom the data are owed, and under which licence they are: said by cards, builders and what is loaded."""

from __future__ import annotations

HOMEPAGE = "https://arxiv.org/abs/2510.21686"
LICENSE = "apache-2.0"
TAGS = ("mutual-information", "multimodal", "synthetic", "benchmark", "mmmi-hf", "arxiv:2510.21686")
CITATION = """\
@misc{hashmani2025multimodal,
  title = {Multimodal Datasets with Controllable Mutual Information},
  author = {Hashmani and Merz and Qu and Pettee and Cranmer},
  year = {2025},
  eprint = {2510.21686},
  archivePrefix = {arXiv}
}"""
