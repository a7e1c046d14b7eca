"""Inverse design: causal models with wanted information.

Owns the family in which closed forms exist: one cause of the target, homogeneous in every modality, and one further
cause per pair of modalities, on templates that are orthogonal to everything else, with independent noise. With
I_i = I(x_i; y) and E_ij = I(x_i; x_j | y),

    I(x_i; x_j) = -½ ln[1 - (1 - e^{-2 I_i}) (1 - e^{-2 I_j})] + E_ij,    I(x_S; y) = ½ ln[1 + Σ_S (e^{2 I_i} - 1)],

so that every I_i ≥ 0 and E_ij ≥ 0 can be had, in any combination; where wanted values leave several I_i open that
depend on each other, these are searched for. Imports this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmmi_hf.causal.arguments import Array, Shape, read_shapes, shown
from mmmi_hf.causal.closed_forms import signal_for_pair_information, weight_for_target_information
from mmmi_hf.causal.design.opposed import opposed
from mmmi_hf.causal.design.requests import Wanted, read_wanted
from mmmi_hf.causal.design.results import Design, checked
from mmmi_hf.causal.errors import InfeasibleError, InvalidModelError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.stories import common_cause
from mmmi_hf.causal.templates import cosine

_DEPENDENT = 1e-8
ONE_CAUSE, ORTHOGONAL = "one common cause", "orthogonal templates"


def for_values(shape: Any, wanted: Mapping[str, float], *, modalities: int | None = None) -> Design:
    """A model with some wanted quantities.

    One wanted value is met by one common cause that all modalities share alike; several by orthogonal templates; and
    what these cannot have, of two modalities, by a second cause of opposite sign.

    Args:
        shape: of every modality, or one per modality.
        wanted: quantity → nats, where a quantity is I(xi;y), I(xi,xj,…;y), I(xi;xj) or I(xi;xj|y).
        modalities: their number; by default as many as are named, at least two.

    Returns:
        Design, its values checked against `CausalModel.mutual_information` to 1e-9 of max(1, |value|).

    Raises:
        InfeasibleError: values that these families cannot have, with the nearest of orthogonal templates.
        InvalidModelError: something that is no such request.

    >>> design = for_values((1, 8, 8), {"I(x1;y)": 1.0, "I(x2;y)": 0.5, "I(x1;x2)": 2.0})
    >>> round(design.model.mutual_information("x1", "x2"), 9)
    2.0
    """
    request = read_wanted(wanted, modalities)
    if len(request.wanted) == 1 and not request.given_target:
        return _alike(shape, request)
    try:
        resolved = request.resolved()
    except InfeasibleError:
        found = opposed(read_shapes(shape, request.modalities), request)
        if found is None:
            raise
        return found
    return _orthogonal(shape, request, *resolved)


def for_matrix(shape: Any, pairs: ArrayLike, *, target: ArrayLike = 0.0) -> Design:
    """A model with a whole matrix of I(x_i; x_j), by orthogonal templates.

    Args:
        shape: of every modality, or one per modality; it must have room for one template per pair and one for y.
        pairs: (M, M), symmetric, in nats; the diagonal is not read.
        target: I(x_i; y), one number or (M,).

    Raises:
        InfeasibleError: entries below what y induces, with the nearest matrix.
        InvalidModelError: no such matrix.
    """
    try:
        matrix, to_target = np.array(pairs, dtype=np.float64), np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidModelError(f"pairs is {shown(pairs)}, expected a symmetric matrix of nats") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise InvalidModelError(f"pairs has shape {matrix.shape}, expected (M, M) with at least two modalities")
    count = len(matrix)
    np.fill_diagonal(matrix, 0.0)
    if not np.array_equal(matrix, matrix.T):
        i, j = (int(n) for n in np.argwhere(matrix != matrix.T)[0])
        raise InvalidModelError(
            f"pairs[{i}][{j}] is {float(matrix[i, j])} but pairs[{j}][{i}] is {float(matrix[j, i])}; make it symmetric"
        )
    if to_target.shape not in ((), (count,)):
        raise InvalidModelError(f"target has shape {to_target.shape}, expected one number or ({count},)")
    wanted = {f"I(x{i + 1};y)": float(value) for i, value in enumerate(np.broadcast_to(to_target, count))}
    wanted |= {f"I(x{i + 1};x{j + 1})": float(matrix[i, j]) for i in range(count) for j in range(i + 1, count)}
    request = read_wanted(wanted, count)
    return _orthogonal(shape, request, *request.resolved())


def orthonormal_templates(patterns: Sequence[Array]) -> list[Array]:
    """The patterns made orthonormal in their order, by Gram-Schmidt done twice: the first keeps its form.

    Args:
        patterns: arrays of one shape.

    Raises:
        InvalidModelError: a pattern is a combination of those before it, or they differ in shape.
    """
    basis: list[Array] = []
    for place, pattern in enumerate(patterns):
        rest = np.array(pattern, dtype=np.float64)
        if basis and rest.shape != basis[0].shape:
            raise InvalidModelError(f"patterns[{place}] has shape {rest.shape}, expected {basis[0].shape} as the first")
        length = math.sqrt(float(np.sum(rest * rest)))
        for _ in range(2):
            for other in basis:
                rest = rest - float(np.sum(rest * other)) * other
        left = math.sqrt(float(np.sum(rest * rest)))
        if not left > _DEPENDENT * length:
            raise InvalidModelError(f"patterns[{place}] is a combination of those before it; leave it out")
        basis.append(rest / left)
    return basis


def _alike(shape: Any, request: Wanted) -> Design:
    """One common cause, equally loud in all modalities, for one wanted value."""
    ((name, value),) = request.wanted.items()
    if request.pairs:
        each = 0.5 * math.log1p(signal_for_pair_information(value))
    else:
        ((blocks, _),) = request.target.items()
        each = 0.5 * math.log1p(math.expm1(2.0 * value) / len(blocks))
    shapes = read_shapes(shape, request.modalities)
    model = common_cause(shapes, mi=each, modalities=request.modalities)
    others = ", ".join(f"x{i + 1}" for i in range(request.modalities))
    return checked(
        model,
        ONE_CAUSE,
        request.wanted,
        choices=[
            f"{name} alone leaves the rest open: one common cause, homogeneous and equally loud in {others}, "
            f"so that each has I(xi;y) = {each:.6g}",
            "the sign of the cause is positive, and the noise of every modality has variance 1",
        ],
        parameters={"rho_tilde": float(model.weights[0, 0])},
        spec={
            "story": "common_cause",
            "shape": _plain(shapes),
            "mi": each,
            "modalities": request.modalities,
        },
    )


def _orthogonal(
    shape: Any, request: Wanted, target: list[float], excess: dict[tuple[int, int], float], choices: list[str]
) -> Design:
    """One cause of the target and one per pair with excess, each on a template of its own."""
    count = request.modalities
    shapes = read_shapes(shape, count)
    pairs = [pair for pair, value in excess.items() if value > 0.0]
    weights = np.zeros((count, 1 + len(pairs)))
    nesting: list[list[Any]] = [["ones" if value > 0.0 else None] + [None] * len(pairs) for value in target]
    waves = [_waves(each) for each in shapes]
    used = [int(value > 0.0) for value in target]
    for i, value in enumerate(target):
        weights[i, 0] = weight_for_target_information(value, 1.0, math.sqrt(math.prod(shapes[i])))
    for k, (i, j) in enumerate(pairs, start=1):
        loud = math.sqrt(signal_for_pair_information(excess[i, j]))
        for m in (i, j):
            if used[m] == len(waves[m]):
                raise InvalidModelError(
                    f"shape {shapes[m]} has room for {len(waves[m])} orthogonal templates, x{m + 1} needs "
                    f"{used[m] + 1}; give a larger shape"
                )
            nesting[m][k] = {"cosine": {"waves": list(waves[m][used[m]])}}
            weights[m, k] = loud / float(np.linalg.norm(cosine(shapes[m], waves[m][used[m]])))
            used[m] += 1
    spec = {
        "eta": [1.0] + [0.0] * len(pairs),
        "weights": weights.tolist(),
        "mixing": np.eye(count).tolist(),
        "shape": _plain(shapes),
        "templates": nesting,
    }
    arrays = [
        [cosine(shapes[i], entry["cosine"]["waves"]) if isinstance(entry, dict) else entry for entry in row]
        for i, row in enumerate(nesting)
    ]
    model = CausalModel(spec["eta"], weights, np.eye(count), shape=shapes, templates=arrays)
    if pairs:
        choices = [
            *choices,
            "one cause per pair that shares more than y induces, equally loud in both modalities, on cosine templates "
            "orthogonal to every other template of a modality",
        ]
    choices = [*choices, "all signs are positive, and the noise of every modality is independent with variance 1"]
    parameters = {f"I(x{i + 1};y)": value for i, value in enumerate(target)}
    parameters |= {f"I(x{i + 1};x{j + 1}|y)": value for (i, j), value in excess.items()}
    return checked(model, ORTHOGONAL, request.wanted, choices=choices, parameters=parameters, spec=spec)


def _waves(shape: Shape) -> list[tuple[int, ...]]:
    """Wave numbers of all cosine templates of a shape, smooth ones first and alike in all channels first."""
    return sorted(
        np.ndindex(*shape), key=lambda waves: (any(waves[:-2]), sum(k * k for k in waves), tuple(reversed(waves)))
    )


def _plain(shapes: Sequence[Shape]) -> list[Any]:
    return list(shapes[0]) if len(set(shapes)) == 1 else [list(shape) for shape in shapes]
