"""Redundant information redundant(a,b;y). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.partial import OfBoth, pairs, place_of
from mmmi_hf.causal.quantities.quantity import Place, Quantity
from mmmi_hf.causal.queries import TARGET


class Redundant(OfBoth):
    """What either of a and b tells of y."""

    word = "redundant"
    example = "redundant(x1,x2;y)"
    meaning = "what either of two modalities tells of y"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """The redundant part in nats."""
        return self.parts(model, quantity).redundant

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every pair of modalities."""
        for pair, a, b in pairs(model):
            yield place_of(pair, 0), self.of((a, b), (TARGET,))


KIND = Redundant()
