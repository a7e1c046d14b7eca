"""What a declared law leaves of one block given another: independent N(0, 1), whatever the other is.

Owns the regression of one whitened block on another by the structure of the model, and the whitening of latents that
are stored otherwise. Imports NumPy and this room only.

Blocks are whitened: w ~ N(0, I_d), y over its standard deviation. A structured model has Cov(z_i, z_j) = h I + L_i L_jᵀ
and Cov(z_i)^{-1/2} = g_i^{-1/2} (I + U ((1 + S²)^{-1/2} - 1) Uᵀ) with L_i = √g_i U S Vᵀ, so that
C = Cov(w_i, w_j) = α I outside the span of the templates of both, α = h / √(g_i g_j), and a small matrix B in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.projections import is_dense

LARGEST_GAIN = 300.0
"""Whitening may magnify errors of stored latents so much: those of the round trip, 2e-5, then stay far below 1."""
SMALLEST_SINES = (1e-2, 1e-4)
"""Of what a residual is divided by, in all directions outside the templates, and in any one direction."""
_LOUDEST = 1e6  # causes over noise whose singular values an ordinary SVD still gives


@dataclass(frozen=True, eq=False)
class Regression:
    """Two whitened blocks with Cov(first, second) = α (I - F₁ᵀ F₁) + F₁ᵀ B F₂.

    outside: α, not 0 only where F₁ = F₂; frames: F₁ (r₁, d₁) and F₂ (r₂, d₂) with orthonormal rows; inside: B (r₁, r₂).
    """

    outside: float
    frames: tuple[Array, Array]
    inside: Array

    @property
    def sines(self) -> tuple[float, float]:
        """Smallest standard deviation of second given first, outside the frames and inside."""
        largest = float(self._variates[0].max(initial=0.0))
        return math.sqrt(max(0.0, 1.0 - self.outside**2)), math.sqrt(max(0.0, 1.0 - largest**2))

    def residual(self, first: Array, second: Array) -> Array:
        """v = (I - CᵀC)^{-1/2} (second - Cᵀ first), (n, d₂): independent N(0, 1) given first, (n, d₁).

        With B = P R Qᵀ the inverse root is I + Q ((1 - R²)^{-1/2} - 1) Qᵀ inside the frame and (1 - α²)^{-1/2} outside.
        """
        cosines, right = self._variates
        stretch = 1.0 / np.sqrt(1.0 - cosines**2) - 1.0
        before, after = first @ self.frames[0].T, second @ self.frames[1].T
        rest = after - before @ self.inside
        rest += ((rest @ right.T) * stretch) @ right
        scale = math.sqrt(1.0 - self.outside**2)
        if self.outside == 0.0:
            return np.asarray(second + (rest - after) @ self.frames[1])
        outer = (second - self.outside * first) / scale
        return np.asarray(outer + (rest - (after - self.outside * before) / scale) @ self.frames[1])

    @cached_property
    def _variates(self) -> tuple[Array, Array]:
        """R and Qᵀ of B = P R Qᵀ."""
        _, cosines, right = np.linalg.svd(self.inside, full_matrices=False)
        return cosines, right


class Regressions:
    """The regressions that a model declares between its whitened blocks."""

    def __init__(self, model: CausalModel) -> None:
        self._law = _Dense(model) if is_dense(model) else _Structured(model)
        self._known: dict[tuple[str, str], Regression | None] = {}

    def between(self, first: str, second: str) -> Regression | None:
        """Of modality `second` on `first`, a modality or y; None where the declared residual is too small to be tested.

        That is below SMALLEST_SINES, where errors of the round trip of images would show: from 4.6 nats in every single
        coordinate, or 9.2 nats in one direction.
        """
        if (first, second) not in self._known:
            found = self._law.between(first, second)
            if found is not None and any(s < least for s, least in zip(found.sines, SMALLEST_SINES, strict=True)):
                found = None
            self._known[first, second] = found
        return self._known[first, second]

    def whitened(self, z: Mapping[str, Array], kind: str) -> dict[str, Array]:
        """modality → (n, d) latents, whitened, of those of `z` (n, *shape) of which the errors stay small.

        Left out, unless stored whitened, are those that whitening would magnify by more than LARGEST_GAIN.
        """
        found = {}
        for name, values in z.items():
            if kind == "whiten":
                found[name] = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
            elif self._law.gain(name) <= LARGEST_GAIN:
                natural = self._law.model.unstandardize_latents(values, name, kind)
                found[name] = self._law.model.standardize_latents(natural, name, "whiten").reshape(len(values), -1)
        return found

    def deviations(self, z: Array, name: str, kind: str) -> tuple[Array, Array]:
        """Latents in the units of the model, (n, d), and the standard deviation of z_rᵀ z' for each row, (n,).

        z' is another row: the standard deviation is ‖Cov(z)^{1/2} z_r‖.
        """
        natural = self._law.model.unstandardize_latents(z, name, kind)
        rows = natural.reshape(len(natural), -1)
        return rows, np.sqrt(np.square(self._law.loaded(rows, name)).sum(axis=1))


class _Dense:
    """C = R_i R_jᵀ of the whitened rows R of A, by dense algebra."""

    def __init__(self, model: CausalModel) -> None:
        self.model = model
        ends = np.cumsum([1, *(math.prod(shape) for shape in model.shapes.values())])
        blocks = np.split(model.matrix, ends[:-1])
        self._blocks: dict[str, Array] = dict(zip((TARGET, *model.modalities), blocks, strict=True))
        self._rows: dict[str, Array] = {TARGET: blocks[0] / np.sqrt(np.sum(blocks[0] ** 2))}

    def between(self, first: str, second: str) -> Regression | None:
        """As `Regressions.between`, however small the residual."""
        inside = self._whitened(first) @ self._whitened(second).T
        return Regression(0.0, (np.eye(inside.shape[0]), np.eye(inside.shape[1])), inside)

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction."""
        lengths = np.linalg.svd(self._blocks[name], compute_uv=False)
        return math.sqrt(float(np.mean(lengths**2))) / float(lengths[-1]) if lengths[-1] > 0.0 else math.inf

    def loaded(self, rows: Array, name: str) -> Array:
        """Rows of the length of Cov(z)^{1/2} z."""
        return np.asarray(rows @ self._blocks[name])

    def _whitened(self, name: str) -> Array:
        if name not in self._rows:
            columns = self._blocks[name].T.reshape(-1, *self.model.shapes[name])
            self._rows[name] = self.model.standardize_latents(columns, name, "whiten").reshape(len(columns), -1).T
        return self._rows[name]


class _Structured:
    """C from templates, weights and shared vector sources, without any d × d matrix."""

    def __init__(self, model: CausalModel) -> None:
        self.model = model
        self._noise = np.sqrt(np.square(model.mixing).sum(axis=1))
        self._position = {name: i for i, name in enumerate(model.modalities)}
        self._directions = {name: self._templates(name) for name in model.modalities}

    def between(self, first: str, second: str) -> Regression | None:
        """As `Regressions.between`, however small the residual; None where the causes drown the noise."""
        if any(not self._loudness(name) <= _LOUDEST for name in (first, second) if name != TARGET):
            return None
        if first == TARGET:
            frame = _frame(self._directions[second])
            target = self.model.eta / np.sqrt(np.square(self.model.eta).sum())
            return Regression(0.0, (np.ones((1, 1)), frame), (self._inside(second, frame)[0] @ target)[None, :])
        i, j = self._position[first], self._position[second]
        shared = float((self.model.mixing[i] / self._noise[i]) @ (self.model.mixing[j] / self._noise[j]))
        if shared == 0.0:
            frames = _frame(self._directions[first]), _frame(self._directions[second])
        else:
            frames = (_frame(np.concatenate([self._directions[first], self._directions[second]])),) * 2
        (causes, root), (others, second_root) = self._inside(first, frames[0]), self._inside(second, frames[1])
        inside = causes @ others.T
        return Regression(shared, frames, inside if shared == 0.0 else inside + shared * (root @ second_root))

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction."""
        return math.sqrt(1.0 + self._loudness(name) ** 2 / math.prod(self.model.shapes[name]))

    def loaded(self, rows: Array, name: str) -> Array:
        """Cov(z)^{1/2} z."""
        z = rows.reshape(-1, *self.model.shapes[name])
        return self.model.unstandardize_latents(z, name, "whiten").reshape(rows.shape)

    def _templates(self, name: str) -> Array:
        """(k, d): w_ik T_ik / √g_i of the causes that the modality uses."""
        i = self._position[name]
        found = [np.zeros((0, math.prod(self.model.shapes[name])))]
        for k in np.flatnonzero(self.model.weights[i]):
            template = self.model.template(i, int(k))
            if template is not None:
                found.append(template.reshape(1, -1) * (self.model.weights[i, k] / self._noise[i]))
        return np.concatenate(found)

    def _loudness(self, name: str) -> float:
        """sqrt(tr Cov of the causes / g)."""
        return float(np.sqrt(np.square(self._directions[name]).sum()))

    def _inside(self, name: str, frame: Array) -> tuple[Array, Array]:
        """In a frame that holds the templates: whitened loadings on the causes, (r, K), and √g Cov^{-1/2}, (r, r)."""
        loadings = np.zeros((len(frame), len(self.model.eta)))
        loadings[:, self.model.weights[self._position[name]] != 0.0] = frame @ self._directions[name].T
        directions, lengths, right = np.linalg.svd(loadings, full_matrices=False)
        stretch = np.hypot(1.0, lengths)
        root = np.eye(len(frame)) + (directions * (1.0 / stretch - 1.0)) @ directions.T
        return (directions * (lengths / stretch)) @ right, root


def _frame(rows: Array) -> Array:
    """Orthonormal rows, (r, d) with r ≤ d, of which the span holds these rows."""
    count, size = rows.shape
    if count >= size:
        return np.eye(size)
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(np.linalg.qr((rows / lengths).T)[0].T)
