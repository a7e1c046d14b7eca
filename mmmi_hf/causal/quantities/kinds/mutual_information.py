"""Mutual information I(a;b). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class MutualInformation(Kind):
    """What a and b tell of each other."""

    word, arguments = "I", 2
    example = "I(x1,x2;y)"
    meaning = "what two blocks tell of each other"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """I(a;b) in nats."""
        return model.mutual_information(quantity.blocks[0], quantity.blocks[1])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every modality and y, of all modalities together and y, and of every pair of modalities."""
        names = model.modalities
        for place, name in enumerate(names):
            yield (0, place), self.of((name,), (TARGET,))
        if len(names) > 1:
            yield (0, len(names)), self.of(names, (TARGET,))
        for place, (a, b) in enumerate(combinations(names, 2)):
            yield (1, place), self.of((a,), (b,))


KIND = MutualInformation()
