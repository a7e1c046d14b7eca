"""Second moments that a structured model declares, without any d × d matrix.

Owns the covariance of features and the regression of one whitened block on another. Imports NumPy and this room only.

Blocks are whitened: w ~ N(0, I_d), y over its standard deviation. With Cov(z_i, z_j) = h I + L_i L_jᵀ and
Cov(z_i)^{-1/2} = g_i^{-1/2} (I + U ((1 + S²)^{-1/2} - 1) Uᵀ), L_i = √g_i U S Vᵀ, the covariance C = Cov(w_i, w_j) is
α I outside the span of the templates of both, α = h / √(g_i g_j), and a small matrix B in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.laws.law import CausalStructure
from mmmi_hf.causal.laws.moments import Regression
from mmmi_hf.causal.laws.structured.latents import StructuredStandardizer
from mmmi_hf.causal.queries import TARGET

_LOUDEST = 1e6  # causes over noise whose singular values an ordinary SVD still gives


class StructuredMoments:
    """C from templates, weights and shared vector sources, without any d × d matrix."""

    def __init__(
        self, parts: CausalStructure, shapes: Mapping[str, Shape], whitener: Callable[[str], StructuredStandardizer]
    ) -> None:
        self._parts, self._shapes, self._whitener = parts, shapes, whitener
        self._noise = np.sqrt(np.square(parts.mixing).sum(axis=1))
        self._position = {name: i for i, name in enumerate(shapes)}
        self._directions = {name: self._templates(name) for name in shapes}

    def directions(self, name: str) -> list[Array]:
        """The templates of the causes that the modality uses, (d,) each."""
        i = self._position[name]
        templates = [self._parts.template(i, int(k)) for k in np.flatnonzero(self._parts.weights[i])]
        return [template.ravel() for template in templates if template is not None]

    def covariance(self, loadings: Mapping[str, Array]) -> Array:
        """Covariance of (y, loadings @ latent of every modality)."""
        parts, position = self._parts, self._position
        causes = [parts.eta[None, :]]
        for name, rows in loadings.items():
            block = np.zeros((len(rows), len(parts.eta)))
            for k in range(len(parts.eta)):
                template = parts.template(position[name], k)
                if template is not None:
                    block[:, k] = parts.weights[position[name], k] * (rows @ template.ravel())
            causes.append(block)
        factor = np.concatenate(causes)
        covariance = factor @ factor.T
        noise = parts.mixing @ parts.mixing.T
        at = 1
        for first, rows in loadings.items():
            column = 1
            for second, others in loadings.items():
                shared = noise[position[first], position[second]]
                if shared != 0.0:
                    covariance[at : at + len(rows), column : column + len(others)] += shared * (rows @ others.T)
                column += len(others)
            at += len(rows)
        return np.asarray(covariance)

    def between(self, first: str, second: str) -> Regression | None:
        """Of whitened modality `second` on `first`; None where the causes drown the noise."""
        if any(not self._loudness(name) <= _LOUDEST for name in (first, second) if name != TARGET):
            return None
        if first == TARGET:
            frame = _frame(self._directions[second])
            target = self._parts.eta / np.sqrt(np.square(self._parts.eta).sum())
            return Regression(0.0, (np.ones((1, 1)), frame), (self._inside(second, frame)[0] @ target)[None, :])
        i, j = self._position[first], self._position[second]
        shared = float((self._parts.mixing[i] / self._noise[i]) @ (self._parts.mixing[j] / self._noise[j]))
        if shared == 0.0:
            frames = _frame(self._directions[first]), _frame(self._directions[second])
        else:
            frames = (_frame(np.concatenate([self._directions[first], self._directions[second]])),) * 2
        (causes, root), (others, second_root) = self._inside(first, frames[0]), self._inside(second, frames[1])
        inside = causes @ others.T
        return Regression(shared, frames, inside if shared == 0.0 else inside + shared * (root @ second_root))

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction."""
        return math.sqrt(1.0 + self._loudness(name) ** 2 / math.prod(self._shapes[name]))

    def loaded(self, rows: Array, name: str) -> Array:
        """Cov(z)^{1/2} z."""
        return self._whitener(name).undo(rows)

    def _templates(self, name: str) -> Array:
        """(k, d): w_ik T_ik / √g_i of the causes that the modality uses."""
        i = self._position[name]
        found = [np.zeros((0, math.prod(self._shapes[name])))]
        for k in np.flatnonzero(self._parts.weights[i]):
            template = self._parts.template(i, int(k))
            if template is not None:
                found.append(template.reshape(1, -1) * (self._parts.weights[i, k] / self._noise[i]))
        return np.concatenate(found)

    def _loudness(self, name: str) -> float:
        """sqrt(tr Cov of the causes / g)."""
        return float(np.sqrt(np.square(self._directions[name]).sum()))

    def _inside(self, name: str, frame: Array) -> tuple[Array, Array]:
        """In a frame that holds the templates: whitened loadings on the causes, (r, K), and √g Cov^{-1/2}, (r, r)."""
        loadings = np.zeros((len(frame), len(self._parts.eta)))
        loadings[:, self._parts.weights[self._position[name]] != 0.0] = frame @ self._directions[name].T
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
