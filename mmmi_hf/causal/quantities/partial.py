"""Parts of I(a,b;y) as kinds of quantities: what redundant, unique and synergistic information have in common.

Owns their grammar and their places in the ground truth. Imports this room only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.information import PartialInformation
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.quantity import Kind, Names, Place, Quantity
from mmmi_hf.causal.queries import TARGET


def place_of(pair: int, part: int) -> Place:
    """The parts of one pair of modalities stand together."""
    return (7, pair, part)


def pairs(model: CausalModel) -> Iterator[tuple[int, str, str]]:
    """Every pair of modalities with its number."""
    for place, (a, b) in enumerate(combinations(model.modalities, 2)):
        yield place, a, b


def about_target(quantity: Quantity) -> Quantity:
    """The quantity. Raises InvalidQueryError where its second argument is not y alone."""
    if quantity.blocks[1] != (TARGET,):
        raise InvalidQueryError(
            f"{quantity} has {','.join(quantity.blocks[1])} after ';', expected {TARGET}: write {quantity.kind.example}"
        )
    return quantity


def parts_of(model: CausalModel, a: Names, b: Names) -> PartialInformation:
    """I(a,b;y) in its four parts."""
    return model.partial_information_decomposition(a, b)


class OfBoth(Kind):
    """A part of what two modalities tell of y that belongs to both."""

    arguments = 2

    def checked(self, quantity: Quantity) -> Quantity:
        """The quantity. Raises InvalidQueryError where it is not of two blocks about y."""
        if len(quantity.blocks[0]) != 2:
            raise InvalidQueryError(
                f"{quantity} has {len(quantity.blocks[0])} block(s) before ';', expected two: write {self.example}"
            )
        return about_target(quantity)

    def parts(self, model: CausalModel, quantity: Quantity) -> PartialInformation:
        """The decomposition that the quantity is a part of."""
        a, b = quantity.blocks[0]
        return parts_of(model, (a,), (b,))
