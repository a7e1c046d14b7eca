"""What any predictor of y reaches at best, as kinds of quantities.

Owns their grammar and their places in the ground truth. Imports this room only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.partial import about_target
from mmmi_hf.causal.quantities.quantity import Kind, Names, Place, Quantity
from mmmi_hf.causal.queries import TARGET


class Ceiling(Kind):
    """Of modalities about y. `place` is where it stands among all that are reported."""

    arguments = 2
    place: int

    @abstractmethod
    def best(self, model: CausalModel, blocks: Names) -> float:
        """Its value given modalities."""

    @abstractmethod
    def applies(self, model: CausalModel) -> bool:
        """Whether the ground truth of a model lists it."""

    def checked(self, quantity: Quantity) -> Quantity:
        """The quantity. Raises InvalidQueryError where it is not about y."""
        return about_target(quantity)

    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """Its value. Raises NotExactError where y is of another kind."""
        return self.best(model, quantity.blocks[0])

    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Of every modality, and of all of them together."""
        names = model.modalities
        sets = [(name,) for name in names] + ([names] if len(names) > 1 else [])
        if self.applies(model):
            for place, blocks in enumerate(sets):
                yield (self.place, place), self.of(blocks, (TARGET,))
