"""The law of a structured model: K common causes, J vector sources, templates.

Owns the checks of coefficients and shapes, and joins covariance, canonical forms and latents of this kind. Imports
NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.laws.structured.covariance import StructuredCovariance
from mmmi_hf.causal.laws.structured.form import StructuredForm
from mmmi_hf.causal.laws.structured.latents import StructuredSampler, StructuredStandardizer
from mmmi_hf.causal.laws.structured.pointwise import in_frame, mean_of_causes, scaled_latents
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.causal.template_bank import Shape, TemplateBank
from mmmi_hf.causal.templates import check_shape

LARGEST, SMALLEST = 1e150, 1e-150  # sizes whose squares float64 still holds


class StructuredLaw:
    """y = Σ η_k ũ_k, z_i = Σ_k w_ik T_ik ũ_k + Σ_j G_ij û_j.

    Args:
        eta, weights, mixing: (K,), (M, K), (M, J).
        shape: one shape, or one per modality.
        templates: as `TemplateBank` reads them.

    Raises:
        InvalidModelError: anything that defines no model with a density.
    """

    def __init__(self, eta: Any, weights: Any, mixing: Any, shape: Any, templates: Any) -> None:
        self.eta = read_coefficients("eta", eta, 1, "(K,), one per common cause")
        self.weights = read_coefficients("weights", weights, 2, "(M, K), one row per modality and one column per cause")
        self.mixing = read_coefficients(
            "mixing", mixing, 2, "(M, J), one row per modality and one column per vector source"
        )
        if self.weights.shape[1] != len(self.eta):
            raise InvalidModelError(
                f"weights has {self.weights.shape[1]} columns but eta has {len(self.eta)} entries; "
                "give both one per common cause"
            )
        if len(self.mixing) != len(self.weights):
            raise InvalidModelError(
                f"mixing has {len(self.mixing)} rows but weights has {len(self.weights)}; give both one per modality"
            )
        if np.abs(self.eta).max() < SMALLEST:
            raise InvalidModelError("eta is all zero, so that y has no source; give at least one cause a coefficient")
        silent = np.flatnonzero(np.abs(self.mixing).max(axis=1) < SMALLEST)
        if silent.size:
            i = int(silent[0])
            raise InvalidModelError(
                f"mixing[{i}] is all zero: x{i + 1} has no vector source and hence no density; give it one"
            )
        shapes = read_shapes(shape, len(self.weights))
        _check_sharing(self.mixing, shapes)
        self.bank = TemplateBank(templates, self.weights, shapes)
        self.shapes: dict[str, Shape] = {f"x{i + 1}": each for i, each in enumerate(shapes)}
        self.covariance = StructuredCovariance(self.eta, self.weights, self.mixing, self.bank)

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return self.covariance.target_variance

    def canonical_form(self, query: Query) -> StructuredForm:
        """The query in canonical form. Raises InfiniteInformationError where it has none."""
        return StructuredForm(self.covariance, query)

    def standardizer(self, name: str, kind: str) -> StructuredStandardizer:
        """The standardiser of one modality."""
        return StructuredStandardizer.of(self.covariance, self.covariance.position[name], kind)

    def sampler(self, kind: str) -> StructuredSampler:
        """The map from one row's normal numbers to its standardised latents."""
        return StructuredSampler(self.covariance, kind)

    def posterior(self, blocks: tuple[str, ...]) -> StructuredPosterior:
        """The law of the target given modalities."""
        return StructuredPosterior(StructuredForm(self.covariance, Query((TARGET,), (), blocks)))


class StructuredPosterior:
    """y | z_S ~ N(mean, variance), with Var(y | z_S) = ηᵀ (I + Q_S)⁻¹ η."""

    def __init__(self, form: StructuredForm) -> None:
        self._form = form

    @property
    def variance(self) -> float:
        """Var(y | z_S)."""
        loading = self._form.target_loading
        return float(loading @ loading) * self._form.covariance.target_scale**2

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        form = self._form
        inner = [in_frame(channel, scaled_latents(form.covariance, channel, values)) for channel in form.channels]
        means = mean_of_causes(form, inner)
        return np.asarray(combine(means, form.target_loading[None, :])[:, 0] * form.covariance.target_scale)


def read_shapes(shape: Any, modalities: int) -> list[Shape]:
    """One shape per modality. Raises InvalidModelError for anything that is not one shape or one per modality."""
    several = (
        isinstance(shape, (list, tuple)) and len(shape) > 0 and all(isinstance(each, (list, tuple)) for each in shape)
    )
    if not several:
        return [check_shape(shape)] * modalities
    if len(shape) != modalities:
        raise InvalidModelError(f"shape gives {len(shape)} shapes for {modalities} modalities; give one, or one each")
    return [check_shape(each) for each in shape]


def read_coefficients(name: str, values: Any, axes: int, meaning: str) -> Array:
    """Finite numbers with that many axes, read-only. Raises InvalidModelError."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidModelError(f"{name} is {values!r}, expected numbers of shape {meaning}") from None
    if array.ndim != axes or array.size == 0:
        raise InvalidModelError(f"{name} has shape {array.shape}, expected {meaning}, none of them zero")
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidModelError(f"{name}{list(where)} is {float(array[where])}, expected a finite number")
    if np.abs(array).max() > LARGEST:
        raise InvalidModelError(f"{name} has entries above {LARGEST} in size; rescale the model")
    array += 0.0
    array.flags.writeable = False
    return array


def _check_sharing(mixing: Array, shapes: Sequence[Shape]) -> None:
    if len(set(shapes)) == 1:
        return
    for j, column in enumerate(mixing.T):
        users = np.flatnonzero(column)
        for i in users[1:]:
            if shapes[i] != shapes[users[0]]:
                raise InvalidModelError(
                    f"shape differs between x{users[0] + 1} {shapes[users[0]]} and x{i + 1} {shapes[i]}, which share "
                    f"vector source {j}; give them one shape or separate columns of mixing"
                )
