"""Quantities by name: "I(x1,x2;y)", "I(x1;x2|y)", "II(x1;x2;y)", "TC(x1,x2)", "DTC(…)", "O(…)".

Owns the reading of such names and their value for a model. Imports this room only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.model import CausalModel

_NAME = re.compile(r"\s*(?P<kind>I|II|TC|DTC|O)\s*\((?P<body>[^()]*)\)\s*")
_ARGUMENTS = {"I": 2, "II": 3, "TC": 1, "DTC": 1, "O": 1}


@dataclass(frozen=True)
class Quantity:
    """A named quantity.

    Attributes:
        kind: I (mutual information), II (interaction information), TC, DTC or O.
        blocks: its arguments, each one or several blocks.
        given: the blocks of the condition; only I has one.
    """

    kind: str
    blocks: tuple[tuple[str, ...], ...]
    given: tuple[str, ...] = ()

    @classmethod
    def read(cls, name: str) -> Quantity:
        """The quantity of a name.

        Raises:
            InvalidQueryError: not a quantity.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidQueryError(
                f"{name!r} is not a quantity; write e.g. I(x1;y), I(x1,x2;y), I(x1;x2|y), TC(x1,x2,y)"
            )
        kind = match["kind"]
        body, bar, condition = match["body"].partition("|")
        blocks = tuple(_blocks(name, part) for part in body.split(";"))
        if len(blocks) != _ARGUMENTS[kind] or (bar and kind != "I"):
            raise InvalidQueryError(
                f"{name!r}: {kind} takes {_ARGUMENTS[kind]} argument(s) separated by ';'"
                + (", and only I takes a condition" if bar and kind != "I" else "")
            )
        return cls(kind, blocks, _blocks(name, condition) if bar else ())

    def of(self, model: CausalModel) -> float:
        """Its value in nats.

        Raises:
            InvalidQueryError: unknown, repeated or overlapping blocks.
            InfiniteInformationError: the quantity is infinite.
        """
        if self.kind == "I":
            return model.mutual_information(self.blocks[0], self.blocks[1], given=self.given)
        if self.kind == "II":
            return model.interaction_information(self.blocks[0], self.blocks[1], self.blocks[2])
        joint = {"TC": model.total_correlation, "DTC": model.dual_total_correlation, "O": model.o_information}
        return joint[self.kind](self.blocks[0])

    def __str__(self) -> str:
        body = ";".join(",".join(block) for block in self.blocks)
        return f"{self.kind}({body}{'|' if self.given else ''}{','.join(self.given)})"


def _blocks(name: str, text: str) -> tuple[str, ...]:
    blocks = tuple(block.strip() for block in text.split(","))
    if not all(blocks):
        raise InvalidQueryError(
            f"{name!r} lacks a block before or after a separator; write e.g. I(x1,x2;y) or I(x1;x2|y)"
        )
    return blocks
