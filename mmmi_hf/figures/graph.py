"""The causal graph of a model as data: nodes, and edges with their coefficients.

Owns what is drawn, not how. Imports NumPy and causal/ only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from mmmi_hf.causal import CausalModel, InfiniteInformationError

Kind = Literal["target", "cause", "modality", "source"]


@dataclass(frozen=True)
class Node:
    """One variable of the model."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Edge:
    """start → end with a coefficient: η_k, w_ik or G_ij; zero coefficients are no edges."""

    start: str
    end: str
    coefficient: float


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
    """Whether a model is made of causes and sources; one of `from_matrix` is not."""
    return model.structure is not None


def causal_structure(model: CausalModel) -> Graph:
    """Causes ũ1 … ũK, vector sources û1 … ûJ, modalities and target of a model, with every coefficient that is not 0.

    Raises:
        ValueError: a model of `from_matrix`, which has no causes to draw.
    """
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


def pairwise_information(model: CausalModel) -> dict[tuple[str, str], float]:
    """I(a; b) in nats of every pair of blocks; infinity where it is infinite."""
    values = {}
    for a, b in combinations(model.names, 2):
        try:
            values[a, b] = model.mutual_information(a, b)
        except InfiniteInformationError:
            values[a, b] = float("inf")
    return values
