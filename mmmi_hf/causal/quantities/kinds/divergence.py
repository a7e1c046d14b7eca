"""How far an intervention moves modalities, KL(a). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class Divergence(Kind):
    """KL(do ‖ observed) of modalities."""

    word, arguments = "KL", 1
    example = "KL(x1,x2)"
    meaning = "how far the law of modalities under an intervention is from the observed one, KL(do ‖ observed)"

    def checked(self, quantity: Quantity) -> Quantity:
        """The quantity. Raises InvalidQueryError where y is among its blocks."""
        if TARGET in quantity.blocks[0]:
            raise InvalidQueryError(f"{quantity} names y; how far modalities move is known: write {self.example}")
        return quantity

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """In nats."""
        return model.shift_divergence(quantity.blocks[0])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every modality, and of all of them together, where the model is of an intervention."""
        names = model.modalities
        for place, blocks in enumerate([*((name,) for name in names), *([names] if len(names) > 1 else [])]):
            if not model.law.is_standard:
                yield (11, place), self.of(blocks)


KIND = Divergence()
