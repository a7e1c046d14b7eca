"""Rows in which some causes are drawn anew, while all else of a row stays.

Owns what a row had been if a cause had been another: its other causes, its sources, the noise of its target and what it
lacks are those of (seed, row). Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmmi_hf.causal.arguments import read_natural, read_whole
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.latents import Latents, check_kind, draw
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.model import CausalModel


def with_causes_resampled(
    model: CausalModel, n: int, *, causes: Mapping[int, int], seed: int, start: int = 0, standardize: str = "whiten"
) -> Latents:
    """Rows start … start + n - 1 of a seed, as `CausalModel.sample` gives them, with some causes of other seeds.

    Args:
        model: made of causes and templates.
        n: number of rows.
        causes: k, from 0 → the seed whose rows have that ũ_k.
        seed, start, standardize: as `CausalModel.sample` takes them.

    Raises:
        InvalidModelError, InvalidQueryError: no such cause, or a number outside its range.
        NotExactError: the model has no causes of its own.

    >>> import mmmi_hf
    >>> model = mmmi_hf.common_cause((1, 8, 8), mi=1.0)
    >>> as_it_was, other = model.sample(1, seed=0), with_causes_resampled(model, 1, causes={0: 7}, seed=0)
    >>> bool(as_it_was.y[0] == other.y[0]), bool(model.sample(1, seed=7).y[0] == other.y[0])
    (False, True)
    """
    law = model.law
    if not isinstance(model.with_target(None).law.whole, StructuredLaw):
        raise NotExactError(f"a {law.kind} model has no causes to draw anew; take one of eta, weights and mixing")
    drawn = {
        read_whole("cause", k, 0, len(model.eta) - 1): read_natural("seed of a cause", other)
        for k, other in causes.items()
    }
    first = read_natural("start", start)
    return draw(
        law.sampler(check_kind(standardize)),
        law.shapes,
        range(first, first + read_natural("n", n)),
        seed=read_natural("seed", seed),
        kind=standardize,
        start=first,
        target=(law.target_shape, law.target_type),
        causes=drawn,
    )
