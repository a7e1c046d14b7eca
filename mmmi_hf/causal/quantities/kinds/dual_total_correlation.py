"""Dual total correlation DTC(a,b,…). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity


class DualTotalCorrelation(Kind):
    """Over all named blocks: what blocks share at least twice."""

    word, arguments = "DTC", 1
    example = "DTC(x1,x2,y)"
    meaning = "what blocks share at least twice"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """DTC in nats."""
        return model.dual_total_correlation(quantity.blocks[0])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of all blocks."""
        yield (4,), self.of(model.names)


KIND = DualTotalCorrelation()
