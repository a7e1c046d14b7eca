"""Unique information unique(a;y) without b. Imports this room only."""

from __future__ import annotations

from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.partial import about_target, pairs, parts_of, place_of
from mmmi_hf.causal.quantities.quantity import Kind, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class Unique(Kind):
    """What a tells of y and b does not."""

    word, arguments, excluding = "unique", 2, True
    example = "unique(x1;y) without x2"
    meaning = "what one modality tells of y and another does not"

    def checked(self, quantity: Quantity) -> Quantity:
        """The quantity. Raises InvalidQueryError where it is not about y."""
        return about_target(quantity)

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """The unique part in nats."""
        return parts_of(model, quantity.blocks[0], quantity.without).unique_a

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of either modality of every pair."""
        for pair, a, b in pairs(model):
            yield place_of(pair, 1), self.of((a,), (TARGET,), without=(b,))
            yield place_of(pair, 2), self.of((b,), (TARGET,), without=(a,))


KIND = Unique()
