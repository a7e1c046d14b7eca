"""A named quantity of a model, and the contract of a kind of quantities.

Owns the grammar "word(block,block;block|condition)", optionally followed by "without block". Imports this room only.
Kinds lie in `kinds`, one file each.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from mmmi_hf.causal.arguments import shown
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.common.terminal import nearest

Names = tuple[str, ...]
Place = tuple[int, ...]
"""Where a quantity stands among all that are reported of a model: ascending."""

NATS = "nats"

_NAME = re.compile(r"\s*(?P<word>\w+)\s*\((?P<body>[^()]*)\)(?:\s*without\s(?P<rest>[^()]*))?\s*")


class Kind(ABC):
    """A kind of quantities; the class attributes are its grammar.

    Attributes:
        word: what a name begins with. arguments: how many, separated by ";".
        conditional: whether it has a condition after "|". excluding: whether it ends in "without …".
        example: a name. meaning: what it is, in one short sentence for help and cards. unit: of its values.
    """

    word: str
    arguments: int
    conditional: bool = False
    excluding: bool = False
    example: str
    meaning: str
    unit: str = NATS

    @abstractmethod
    def value(self, model: CausalModel, quantity: Quantity) -> float:
        """Its value in `unit`. Raises InvalidQueryError and InfiniteInformationError, as the model does."""

    @abstractmethod
    def reported(self, model: CausalModel) -> Iterator[tuple[Place, Quantity]]:
        """Those that the ground truth of a model lists, each with its place among all of them."""

    def checked(self, quantity: Quantity) -> Quantity:
        """The quantity. Raises InvalidQueryError where its blocks are not such as this kind takes."""
        return quantity

    def of(self, *blocks: Names, given: Names = (), without: Names = ()) -> Quantity:
        """A quantity of this kind."""
        return Quantity(self, blocks, given, without)


@dataclass(frozen=True)
class Quantity:
    """A named quantity: its kind, its arguments, its condition and what it leaves out, each one or several blocks."""

    kind: Kind
    blocks: tuple[Names, ...]
    given: Names = ()
    without: Names = ()

    def of(self, model: CausalModel) -> float:
        """Its value in the unit of its kind.

        Raises:
            InvalidQueryError: unknown, repeated or overlapping blocks.
            NotExactError: it has no exact value for the model's target.
            InfiniteInformationError: the quantity is infinite.
        """
        return self.kind.value(model, self)

    def __str__(self) -> str:
        body = ";".join(",".join(block) for block in self.blocks)
        condition = f"|{','.join(self.given)}" if self.given else ""
        rest = f" without {','.join(self.without)}" if self.without else ""
        return f"{self.kind.word}({body}{condition}){rest}"


def read_name(name: str, kinds: tuple[Kind, ...]) -> Quantity:
    """The quantity of a name.

    Raises:
        InvalidQueryError: not a quantity of these kinds.
    """
    match = _NAME.fullmatch(name)
    candidates = [kind for kind in kinds if match is not None and kind.word == match["word"]]
    if match is None or not candidates:
        meant = nearest(name.partition("(")[0], dict.fromkeys(kind.word for kind in kinds))
        examples = ", ".join(dict.fromkeys(kind.example for kind in kinds if not meant or kind.word in meant))
        raise InvalidQueryError(f"{shown(name)} is not a quantity; write e.g. {examples}")
    body, bar, condition = match["body"].partition("|")
    rest = match["rest"]
    kind = next((kind for kind in candidates if kind.conditional == bool(bar)), candidates[0])
    if bool(bar) and not kind.conditional:
        conditional = " and ".join(dict.fromkeys(kind.word for kind in kinds if kind.conditional))
        raise InvalidQueryError(f"{shown(name)}: {kind.word} has none; only {conditional} takes a condition")
    if (rest is not None) != kind.excluding:
        raise InvalidQueryError(f"{shown(name)} is not a quantity; write e.g. {kind.example}")
    blocks = tuple(_blocks(name, part) for part in body.split(";"))
    if len(blocks) != kind.arguments:
        raise InvalidQueryError(f"{shown(name)}: {kind.word} takes {kind.arguments} argument(s) separated by ';'")
    left_out = () if rest is None else _blocks(name, rest)
    return kind.checked(kind.of(*blocks, given=_blocks(name, condition) if bar else (), without=left_out))


def _blocks(name: str, text: str) -> Names:
    blocks = tuple(block.strip() for block in text.split(","))
    if not all(blocks):
        raise InvalidQueryError(
            f"{shown(name)} lacks a block before or after a separator; write e.g. I(x1,x2;y) or I(x1;x2|y)"
        )
    return blocks
