"""The causal graph of a model as data: nodes, and edges with their coefficients.

Owns what is drawn, not how: of causes that are numbers, and of a categorical one. Imports causal/ and this room only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from mmmi_hf.causal import CausalModel, InfiniteInformationError
from mmmi_hf.causal.laws.categorical.categorical_law import CategoricalLaw
from mmmi_hf.figures import style
from mmmi_hf.figures.pictures import Array

Kind = Literal["target", "cause", "modality", "source"]
CATEGORY = "c"
"""The name of a categorical cause."""
_LISTED = 4
"""Means that stand on an arrow, at most; of more the first and the last."""


@dataclass(frozen=True)
class Node:
    """One variable of the model."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Edge:
    """start → end with a coefficient: η_k, w_ik or G_ij; zero coefficients are no edges.

    told: what stands on the arrow; of a categorical cause its means, whose range is the coefficient.
    """

    start: str
    end: str
    coefficient: float
    told: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of the model, and edges."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def layer(self, kind: Kind) -> list[str]:
        """The names of the nodes of a kind."""
        return [node.name for node in self.nodes if node.kind == kind]

    def between(self, start: Kind, end: Kind) -> list[Edge]:
        """The edges from one kind of node to another."""
        starts, ends = set(self.layer(start)), set(self.layer(end))
        return [edge for edge in self.edges if edge.start in starts and edge.end in ends]


def has_causes(model: CausalModel) -> bool:
    """Whether a model is made of causes that are numbers, and sources; one of `from_matrix` is not."""
    return model.structure is not None


def categorical_cause(model: CausalModel) -> CategoricalLaw | None:
    """The law of the categorical cause of a model; None where it has none."""
    law = model.with_target(None).law.whole
    return law if isinstance(law, CategoricalLaw) else None


def templates_of(model: CausalModel) -> dict[str, list[Array | None]]:
    """Cause → its template in every modality, None where the modality does not show it; nothing of `from_matrix`."""
    law = categorical_cause(model)
    if law is not None:
        shown = np.ptp(law.means, axis=1) > 0.0
        return {CATEGORY: [law.template(x) if seen else None for x, seen in zip(model.modalities, shown, strict=True)]}
    if not has_causes(model):
        return {}
    return {
        f"ũ{k + 1}": [model.template(i, k) if row[k] else None for i, row in enumerate(model.weights)]
        for k in range(len(model.eta))
    }


def causal_structure(model: CausalModel) -> Graph:
    """Causes ũ1 … ũK, vector sources û1 … ûJ, modalities and target of a model, with every coefficient that is not 0.

    A categorical cause is c, and every modality has a source of its own.

    Raises:
        ValueError: a model of `from_matrix`, which has no causes to draw.
    """
    law = categorical_cause(model)
    if law is not None:
        return _categorical(law)
    if not has_causes(model):
        raise ValueError(
            f"{model!r} was made by from_matrix and has no causes; draw the information between its blocks"
        )
    causes = [f"ũ{k + 1}" for k in range(len(model.eta))]
    sources = [f"û{j + 1}" for j in range(model.mixing.shape[1])]
    nodes = (
        Node("y", "target"),
        *(Node(name, "cause") for name in causes),
        *(Node(name, "modality") for name in model.modalities),
        *(Node(name, "source") for name in sources),
    )
    of_target = None if model.target is None else model.target.made_of
    edges = [Edge(causes[k], "y", float(model.eta[k])) for k in np.flatnonzero(model.eta)]
    if of_target is not None:
        edges = [Edge(causes[k], "y", 1.0) for k in of_target]
    for i, name in enumerate(model.modalities):
        edges += [Edge(causes[k], name, float(model.weights[i, k])) for k in np.flatnonzero(model.weights[i])]
    for i, name in enumerate(model.modalities):
        edges += [Edge(sources[j], name, float(model.mixing[i, j])) for j in np.flatnonzero(model.mixing[i])]
    return Graph(nodes, tuple(edges))


def _categorical(law: CategoricalLaw) -> Graph:
    names = list(law.shapes)
    sources = [f"û{i + 1}" for i in range(len(names))]
    kinds: tuple[tuple[Kind, list[str]], ...] = (
        ("target", ["y"]),
        ("cause", [CATEGORY]),
        ("modality", names),
        ("source", sources),
    )
    edges = [Edge(CATEGORY, "y", 1.0)]
    for name, means in zip(names, law.means, strict=True):
        if np.ptp(means) > 0.0:
            ends = [style.number(float(mean)) for mean in means]
            told = ", ".join(ends) if len(ends) <= _LISTED else f"{ends[0]} … {ends[-1]}"
            edges.append(Edge(CATEGORY, name, float(np.ptp(means)), told))
    edges += [Edge(source, name, 1.0) for source, name in zip(sources, names, strict=True)]
    return Graph(tuple(Node(name, kind) for kind, layer in kinds for name in layer), tuple(edges))


def pairwise_information(model: CausalModel) -> dict[tuple[str, str], float]:
    """I(a; b) in nats of every pair of blocks; infinity where it is infinite."""
    values = {}
    for a, b in combinations(model.names, 2):
        try:
            values[a, b] = model.mutual_information(a, b)
        except InfiniteInformationError:
            values[a, b] = float("inf")
    return values
