"""Interaction information II(a;b;c) = I(a;b) − I(a;b|c). Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class InteractionInformation(Kind):
    """Positive where c explains what a and b share, negative where it joins them."""

    word, arguments = "II", 3
    example = "II(x1;x2;y)"
    meaning = "what the third block explains of what two others share; negative where it joins them"

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """II in nats."""
        return model.interaction_information(*quantity.blocks)

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every pair of modalities and y."""
        for place, (a, b) in enumerate(combinations(model.modalities, 2)):
            yield (6, place), self.of((a,), (b,), (TARGET,))


KIND = InteractionInformation()
