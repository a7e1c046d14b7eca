"""O-information O(a,b,…) = TC − DTC. Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity


class OInformation(Kind):
    """Over all named blocks: redundancy where positive, synergy where negative."""

    word, arguments = "O", 1
    example = "O(x1,x2,y)"
    meaning = "redundancy where positive, synergy where negative"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """O in nats."""
        return model.o_information(quantity.blocks[0])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of all blocks."""
        yield (5,), self.of(model.names)


KIND = OInformation()
