"""Total correlation TC(a,b,…). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity


class TotalCorrelation(Kind):
    """Over all named blocks: how far blocks are from independent."""

    word, arguments = "TC", 1
    example = "TC(x1,x2,y)"
    meaning = "how far blocks are from independent"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """TC in nats."""
        return model.total_correlation(quantity.blocks[0])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of all blocks."""
        yield (3,), self.of(model.names)


KIND = TotalCorrelation()
