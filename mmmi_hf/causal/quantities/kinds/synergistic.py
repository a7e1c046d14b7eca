"""Synergistic information synergistic(a,b;y). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.partial import OfBoth, pairs, place_of
from mmmi_hf.causal.quantities.quantity import Place, Quantity
from mmmi_hf.causal.queries import TARGET


class Synergistic(OfBoth):
    """What only a and b together tell of y."""

    word = "synergistic"
    example = "synergistic(x1,x2;y)"
    meaning = "what only two modalities together tell of y"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """The synergistic part in nats."""
        return self.parts(model, quantity).synergistic

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every pair of modalities."""
        for pair, a, b in pairs(model):
            yield place_of(pair, 3), self.of((a, b), (TARGET,))


KIND = Synergistic()
