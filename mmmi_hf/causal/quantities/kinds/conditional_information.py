"""Conditional mutual information I(a;b|c). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class ConditionalInformation(Kind):
    """What a and b tell of each other when c is known."""

    word, arguments, conditional = "I", 2, True
    example = "I(x1;x2|y)"
    meaning = "what two blocks tell of each other when a third is known"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """I(a;b|c) in nats."""
        return model.mutual_information(quantity.blocks[0], quantity.blocks[1], given=quantity.given)

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every pair of modalities, given y."""
        for place, (a, b) in enumerate(combinations(model.modalities, 2)):
            yield (2, place), self.of((a,), (b,), given=(TARGET,))


KIND = ConditionalInformation()
