"""Inverse design for a y that a target makes: wanted information or accuracy of classes and functions, and of a parity.

Owns the way from what is wanted of such a y to what the modalities must tell of what it is made of. Imports this room
only. A function, or random function, of the Gaussian y is known through I(x_S; Gaussian y) alone, and everything about
it grows or falls with that: each wanted quantity is turned into nats about the Gaussian y, and the rest is
`for_values`. A parity of as many causes as modalities, each seen by one, has one free number if all are equally loud.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal import targets
from mmmi_hf.causal.arguments import read_number, read_shapes
from mmmi_hf.causal.closed_forms import weight_for_target_information
from mmmi_hf.causal.design.results import Design, checked
from mmmi_hf.causal.design.values import for_values
from mmmi_hf.causal.errors import InfeasibleError, InvalidModelError, NotExactError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities import read
from mmmi_hf.causal.quantities.quantity import Quantity
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.targets.kinds.parity import Parity
from mmmi_hf.causal.targets.line import Line, LineTarget
from mmmi_hf.causal.targets.target import Target, View

_MOST_NATS = 12.0
_READ: dict[str, Callable[[View], float]] = {
    "I": lambda view: view.information().value,
    "bayes_accuracy": lambda view: view.accuracy().value,
    "bayes_log_loss": lambda view: view.log_loss().value,
    "r2_ceiling": lambda view: view.r2_ceiling().value,
}
OF_TARGET = "a target made of the Gaussian y"
OF_PARITY = "a parity of equally loud causes"


def for_target(
    shape: Any, wanted: Mapping[str, float], target: Target | Mapping[str, Any], *, modalities: int | None = None
) -> Design:
    """A model whose y is made by a target, with some wanted quantities.

    Args:
        shape: of every modality, or one per modality.
        wanted: quantity → value: I(…;y), bayes_accuracy(…;y), bayes_log_loss(…;y) or r2_ceiling(…;y) of modalities, and
            I(xi;xj). Of a parity one quantity of all modalities.
        target: such as {"classes": {"quantiles": 2}}.
        modalities: their number; by default as many as are named, at least two.

    Returns:
        Design, its values checked to 1e-9 of max(1, |value|).

    Raises:
        InfeasibleError: values that cannot be had, with the nearest.
        InvalidModelError, InvalidQueryError: something that is no such request.

    >>> made = for_target((1, 8, 8), {"bayes_accuracy(x1;y)": 0.8}, {"classes": {"quantiles": 2}})
    >>> round(made.model.bayes_accuracy("x1").value, 9)
    0.8
    """
    made = targets.read(target)
    if isinstance(made, Parity):
        return _parity(shape, wanted, made)
    if not isinstance(made, LineTarget):
        raise InvalidModelError(
            f"a target of kind {made.kind} is no function of one number, and design knows classes, function and "
            f"parity: write its model by hand, with target: {{{made.example}}}, and ask `info` what it tells"
        )
    plain: dict[str, float] = {}
    asked: dict[str, str] = {}
    """What is asked of the Gaussian y → the wanted quantity that it follows from."""
    for name, value in wanted.items():
        quantity = read(name)
        if TARGET not in quantity.blocks[-1] and not quantity.given:
            plain[name] = value
            continue
        nats, blocks = _inverted(name, quantity, value, _of_line(made, quantity)), ",".join(quantity.blocks[0])
        gaussian = f"I({blocks};{TARGET})"
        if gaussian in asked:
            raise InvalidModelError(
                f"{asked[gaussian]} = {wanted[asked[gaussian]]:g} and {name} = {value:g} both say what {blocks} tells "
                f"of y: {plain[gaussian]:.6g} and {nats:.6g} nats of the Gaussian number below it; give one of them"
            )
        plain[gaussian], asked[gaussian] = nats, name
    try:
        found = for_values(shape, plain, modalities=modalities)
    except InfeasibleError as error:
        raise _in_wanted_words(error, made, wanted, plain, asked) from error
    spec = None if found.spec is None else {**found.spec, "target": targets.write(made)}
    told = "; ".join(f"{name} = {value:.12g}" for name, value in plain.items())
    return checked(
        found.model.with_target(made),
        f"{OF_TARGET}, {found.family}",
        wanted,
        choices=[f"the wanted values ask of the Gaussian y that {told}", *found.choices],
        parameters=found.parameters,
        spec=spec,
    )


def _in_wanted_words(
    error: InfeasibleError,
    made: LineTarget,
    wanted: Mapping[str, float],
    plain: Mapping[str, float],
    asked: Mapping[str, str],
) -> InfeasibleError:
    """What cannot be had of the Gaussian y, said of what was wanted of y."""
    names = {gaussian: asked.get(gaussian, gaussian) for gaussian in plain}
    nearest = {}
    for gaussian, nats in error.nearest.items():
        name = names.get(gaussian, gaussian)
        of = _of_line(made, read(name)) if name in asked.values() else float
        nearest[name] = of(nats)
    together = ", ".join(f"{name} = {wanted[name]:g} ({plain[gaussian]:.6g} nats)" for gaussian, name in names.items())
    instead = ", ".join(f"{name} = {value:.9g}" for name, value in nearest.items())
    return InfeasibleError(
        f"{together} cannot be had together, in brackets what that asks of the Gaussian number below y; the nearest is "
        f"{instead or 'not known'}",
        dict(wanted),
        nearest,
    )


def _of_line(made: LineTarget, quantity: Quantity) -> Callable[[float], float]:
    """What the quantity is where modalities tell so many nats of the Gaussian y."""
    return lambda nats: _READ[quantity.kind.word](made.seen(Line(nats)))


def _inverted(name: str, quantity: Quantity, value: object, of: Callable[[float], float]) -> float:
    """The nats at which a monotone quantity has a value."""
    if quantity.kind.word not in _READ or quantity.given:
        raise InvalidModelError(
            f"{name} cannot be designed with a target; wanted may be {', '.join(f'{word}(…;y)' for word in _READ)} and "
            "I(xi;xj)"
        )
    number = read_number(name, value, "a number")
    try:
        none, most = of(0.0), of(_MOST_NATS)
    except NotExactError as error:
        raise InvalidModelError(f"{name}: {error}") from None
    low, high = sorted((none, most))
    if not low <= number <= high:
        nearest = low if number < low else high
        raise InfeasibleError(
            f"{name} cannot be {number:g}: from nothing to all about the target it runs from {none:.9g} to {most:.9g}; "
            f"the nearest value is {nearest:.9g}",
            {name: number},
            {name: nearest},
        )
    if number == none:
        return 0.0
    return float(scipy.optimize.brentq(lambda g: of(g) - number, 0.0, _MOST_NATS, xtol=1e-15, rtol=1e-15))


def _parity(shape: Any, wanted: Mapping[str, float], made: Parity) -> Design:
    count = len(made.causes)
    everything = ",".join(f"x{i + 1}" for i in range(count))
    if made.causes != tuple(range(count)) or len(wanted) != 1:
        raise InvalidModelError(f"a parity is designed with causes {list(range(count))} and one wanted quantity")
    ((name, value),) = wanted.items()
    quantity = read(name)
    if quantity.blocks[0] != tuple(everything.split(",")):
        raise InvalidModelError(
            f"{name}: fewer than all modalities tell nothing of a parity; ask for I({everything};y)"
        )
    shapes = read_shapes(shape, count)

    def model(nats: float) -> CausalModel:
        loud = [weight_for_target_information(nats, 1.0, math.sqrt(math.prod(each))) for each in shapes]
        return CausalModel(np.ones(count), np.diag(loud), np.eye(count), shape=shapes, target=made)

    nats = _inverted(name, quantity, value, lambda g: read(name).of(model(g)) if g else _of_nothing(quantity))
    found = model(nats)
    spec = {
        "eta": [1.0] * count,
        "weights": found.weights.tolist(),
        "mixing": np.eye(count).tolist(),
        "shape": list(shapes[0]) if len(set(shapes)) == 1 else [list(each) for each in shapes],
        "target": targets.write(made),
    }
    choices = [f"every modality shows one cause, homogeneous, and tells {nats:.12g} nats of it"]
    return checked(found, OF_PARITY, wanted, choices=choices, parameters={"nats": nats}, spec=spec)


def _of_nothing(quantity: Quantity) -> float:
    return {"I": 0.0, "bayes_accuracy": 0.5, "bayes_log_loss": math.log(2.0)}.get(quantity.kind.word, 0.0)
