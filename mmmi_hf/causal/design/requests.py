"""What inverse design is asked for, and whether orthogonal templates can have it.

Owns the reading of wanted quantities, what follows for the rest, and the refusals with the nearest values. Imports this
room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmmi_hf.causal.arguments import read_whole, shown
from mmmi_hf.causal.closed_forms import induced_pair_information
from mmmi_hf.causal.design.results import TOLERANCE, read_nats
from mmmi_hf.causal.design.search import joint_information, search_target
from mmmi_hf.causal.errors import InfeasibleError, InvalidModelError
from mmmi_hf.causal.quantities import read
from mmmi_hf.causal.quantities.quantity import Quantity
from mmmi_hf.causal.queries import TARGET

Pair = tuple[int, int]
_LARGEST_CHOICE = 15.0
_CLOSE = TOLERANCE / 4
MOST_MODALITIES = 64
"""Of a design: every pair may have a cause of its own, and all pairs are reported."""


@dataclass
class Wanted:
    """A request, modalities counted from 0.

    Attributes:
        modalities: their number.
        wanted: quantity → nats, as asked for.
        target: I(x_S; y) by the modalities S, ascending.
        pairs: I(x_i; x_j) by (i, j), i < j. given_target: I(x_i; x_j | y).
        names: by the same keys, how each was asked for.
    """

    modalities: int
    wanted: dict[str, float] = field(default_factory=dict)
    target: dict[tuple[int, ...], float] = field(default_factory=dict)
    pairs: dict[Pair, float] = field(default_factory=dict)
    given_target: dict[Pair, float] = field(default_factory=dict)
    names: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)

    def resolved(self) -> tuple[list[float], dict[Pair, float], list[str]]:
        """I(x_i; y) of every modality, I(x_i; x_j | y) of every pair that was asked about, and the choices made.

        Raises:
            InfeasibleError: with all wanted values, those that cannot be had replaced by the nearest that can.
        """
        nearest, reasons = dict(self.wanted), list[str]()
        choices: list[str] = []
        known: dict[int, float] = {only: value for (only, *rest), value in self.target.items() if not rest}
        for blocks, value in sorted(self.target.items(), key=lambda item: len(item[0])):
            if len(blocks) > 1:
                self._joint(blocks, value, known, nearest, reasons, choices)
        for pair in sorted(self.pairs.keys() & self.given_target.keys()):
            self._tie(pair, known, nearest, reasons, choices)
        excess = self._excesses(known, nearest, reasons)
        if reasons and choices:  # a choice made for one wanted value may be what another forbids
            nearest, reasons = dict(self.wanted), list[str]()
            known, choices = self._searched(nearest, reasons)
            excess = self._excesses(known, nearest, reasons)
        if reasons:
            raise InfeasibleError(
                f"{'; '.join(reasons)} (the family: one cause of y, others on orthogonal templates, independent "
                "noise, so that modalities never share less than y induces; models outside of it may)",
                self.wanted,
                nearest,
            )
        open_ones = [i for i in range(self.modalities) if i not in known]
        if open_ones:
            listed = ", ".join(f"I(x{i + 1};y)" for i in open_ones)
            choices.append(f"{listed} not asked for: set to 0")
        unasked = self.modalities * (self.modalities - 1) // 2 - len(excess)
        if unasked:
            choices.append(f"{unasked} pair(s) of modalities not asked about: they share what y induces and no more")
        return [known.get(i, 0.0) for i in range(self.modalities)], excess, choices

    def _searched(self, nearest: dict[str, float], reasons: list[str]) -> tuple[dict[int, float], list[str]]:
        """I(x_i; y) by a search over all wanted values at once, and what to say of it."""
        joint = {blocks: value for blocks, value in self.target.items() if len(blocks) > 1}
        fixed = {blocks[0]: value for blocks, value in self.target.items() if len(blocks) == 1}
        tied = self.pairs.keys() & self.given_target.keys()
        known = search_target(
            fixed,
            joint,
            {pair: max(self.pairs[pair] - self.given_target[pair], 0.0) for pair in sorted(tied)},
            {pair: value for pair, value in self.pairs.items() if pair not in tied},
            max(_LARGEST_CHOICE, *self.wanted.values()),
        )
        for blocks, value in joint.items():
            have = joint_information([known[i] for i in blocks])
            if not _close(have, value):
                name = self.names["target", blocks]
                nearest[name] = have
                reasons.append(
                    f"{name} cannot be {value:g} beside the other wanted values: the nearest value of this family is "
                    f"{have!r}"
                )
        found = ", ".join(f"I(x{i + 1};y) = {known[i]:.6g}" for i in sorted(known.keys() - fixed.keys()))
        return known, [f"{found}: found by a search, so that all wanted values hold together"]

    def _excesses(self, known: dict[int, float], nearest: dict[str, float], reasons: list[str]) -> dict[Pair, float]:
        """I(x_i; x_j | y) of every pair that was asked about."""
        asked = sorted(self.pairs.keys() | self.given_target.keys())
        return {pair: self._excess(pair, known, nearest, reasons) for pair in asked}

    def _joint(
        self,
        blocks: tuple[int, ...],
        value: float,
        known: dict[int, float],
        nearest: dict[str, float],
        reasons: list[str],
        choices: list[str],
    ) -> None:
        """e^{2 I(x_S; y)} - 1 = Σ_S (e^{2 I_i} - 1): what is not known yet shares the rest equally."""
        name = self.names["target", blocks]
        sum_known = sum(math.expm1(2.0 * known[i]) for i in blocks if i in known)
        free = [i for i in blocks if i not in known]
        rest = math.expm1(2.0 * value) - sum_known
        least = 0.5 * math.log1p(sum_known)
        if free and (rest >= 0.0 or _close(value, least)):
            each = 0.5 * math.log1p(max(rest, 0.0) / len(free))
            known |= dict.fromkeys(free, each)
            alike = ", ".join(f"x{i + 1}" for i in free)
            choices.append(f"{name}: made up by I(xi;y) = {each:.6g} of {alike}{', alike' if len(free) > 1 else ''}")
        elif not _close(value, least):
            what = "have at least" if free else "have together"
            nearest[name] = least
            known |= dict.fromkeys(free, 0.0)
            reasons.append(
                f"{name} cannot be {value:g}: with independent noise the I(xi;y) that were asked for {what} {least!r}, "
                "the nearest value of this family"
            )

    def _tie(
        self, pair: Pair, known: dict[int, float], nearest: dict[str, float], reasons: list[str], choices: list[str]
    ) -> None:
        """I(x_i; x_j) - I(x_i; x_j | y) = D is what y induces: (1 - e^{-2 I_i}) (1 - e^{-2 I_j}) = 1 - e^{-2 D}."""
        i, j = pair
        difference = self.pairs[pair] - self.given_target[pair]
        if difference < 0.0 or (i in known and j in known):
            return
        share = -math.expm1(-2.0 * difference)
        if i not in known and j not in known:
            each = difference + 0.5 * math.log1p(math.sqrt(share))
            known |= {i: each, j: each}
        else:
            i, j = (i, j) if i in known else (j, i)
            given = -math.expm1(-2.0 * known[i])
            left = math.exp(-2.0 * difference) * -math.expm1(-2.0 * (known[i] - difference))
            lost = left / given if given > 0.0 else float(share == 0.0)
            most = math.exp(-2.0 * _LARGEST_CHOICE)
            known[j] = _LARGEST_CHOICE if lost < most else -0.5 * math.log(lost)
        choices.append(
            f"{self.names['pair', pair]} and {self.names['given', pair]}: I(x{pair[0] + 1};y) = {known[pair[0]]:.6g} "
            f"and I(x{pair[1] + 1};y) = {known[pair[1]]:.6g} make their difference"
        )

    def _excess(self, pair: Pair, known: Mapping[int, float], nearest: dict[str, float], reasons: list[str]) -> float:
        """I(x_i; x_j | y), from it or from I(x_i; x_j); both must agree."""
        first, second = (known.get(i, 0.0) for i in pair)
        induced = induced_pair_information(first, second)
        asked = self.given_target.get(pair)
        if pair not in self.pairs:
            return asked or 0.0
        value, name = self.pairs[pair], self.names["pair", pair]
        least = induced + (asked or 0.0)
        cause = f"I(x{pair[0] + 1};y) = {first:g} and I(x{pair[1] + 1};y) = {second:g} induce {induced:.12g}"
        if asked is not None and not _close(value, least):
            nearest[name] = least
            reasons.append(
                f"{name} cannot be {value:g} beside {self.names['given', pair]} = {asked:g}: {cause}, so that the "
                f"nearest value of this family is {least!r}"
            )
        elif asked is None and value < induced and not _close(value, induced):
            nearest[name] = induced
            reasons.append(f"{name} cannot be {value:g}: {cause}, and the nearest value of this family is {induced!r}")
        return asked if asked is not None else max(value - induced, 0.0)


def _close(value: float, other: float) -> bool:
    return abs(value - other) <= _CLOSE * max(1.0, abs(value))


def read_wanted(wanted: Mapping[str, float], modalities: int | None) -> Wanted:
    """The request of some quantities.

    Raises:
        InvalidQueryError, InvalidModelError: nothing, a quantity of another kind, or one twice.
        InfeasibleError: a value that no model has.
    """
    if not wanted:
        raise InvalidModelError("wanted is empty; ask for at least one quantity such as I(x1;y)")
    quantities = {name: read(name) for name in wanted}
    highest = max(max((_number(b) for b in blocks), default=-1) for q in quantities.values() for blocks in q.blocks) + 1
    least = max(1, highest)
    request = Wanted(
        read_whole("modalities", max(2, highest) if modalities is None else modalities, least, MOST_MODALITIES)
    )
    for name, quantity in quantities.items():
        value = read_nats(name, wanted[name])
        kind, key = _kind(name, quantity)
        if (kind, key) in request.names:
            raise InvalidModelError(f"{request.names[kind, key]} and {name} are the same quantity; give it once")
        request.names[kind, key] = name
        request.wanted[name] = value
        if kind == "target":
            request.target[key] = value
        else:
            (request.pairs if kind == "pair" else request.given_target)[key[0], key[1]] = value
    return request


def _kind(name: str, quantity: Quantity) -> tuple[str, tuple[int, ...]]:
    """target, pair or given, and the modalities, ascending."""
    sides = [tuple(sorted(_number(block) for block in blocks)) for blocks in quantity.blocks]
    if quantity.kind.word == "I" and all(sides) and all(len(set(side)) == len(side) for side in sides):
        targets = [side for side in sides if side == (-1,)]
        others = [side for side in sides if -1 not in side]
        if len(targets) == len(others) == 1 and not quantity.given:
            return "target", others[0]
        if len(others) == 2 and len(others[0]) == len(others[1]) == 1 and others[0] != others[1]:
            pair = tuple(sorted(others[0] + others[1]))
            if not quantity.given:
                return "pair", pair
            if quantity.given == (TARGET,):
                return "given", pair
    if quantity.kind.word in ("bayes_accuracy", "bayes_log_loss"):
        raise InvalidModelError(
            f"{name} is of classes: say what y is made of, the target classes: {{quantiles: 2}} e.g."
        )
    raise InvalidModelError(
        f"{name} is none of I(xi;y), I(xi,xj,…;y), I(xi;xj), I(xi;xj|y), which can be designed at once; for any other "
        "quantity let one parameter of a story be solved for"
    )


def _number(block: str) -> int:
    """x1 → 0, x2 → 1, …; y → -1."""
    if block == TARGET:
        return -1
    digits = block.removeprefix("x")
    if not (block.startswith("x") and digits.isdecimal() and not digits.startswith("0")):
        raise InvalidModelError(f"{shown(block)} is no block of a model; blocks are x1, x2, … and y")
    return int(digits) - 1
