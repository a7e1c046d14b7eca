"""Labelled examples in memory: what the trainer and the evaluation read, whatever they are.

Owns the base type. Images and signals are its two kinds, each in a file of its own.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Examples(ABC):
    """Examples of one shape with class labels.

    Attributes:
        values: tensor (n, *shape), in the type that they are kept in.
        labels: int64 tensor (n,), each in 0 … len(class_names) − 1.
        class_names: one name per class.
        noun: what they are called in messages.
    """

    noun: ClassVar[str]
    values: torch.Tensor
    labels: torch.Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def floats(self, values: torch.Tensor) -> torch.Tensor:
        """Values (*any shape*) as the float32 that a pipeline makes."""

    def batch(self, rows: Int[torch.Tensor, " n"]) -> tuple[Float[torch.Tensor, " n *shape"], Int[torch.Tensor, " n"]]:
        """Rows as (float32 examples, labels)."""
        return self.floats(self.values[rows]), self.labels[rows]

    def on(self, device: torch.device) -> Self:
        """On a device."""
        return dataclasses.replace(self, values=self.values.to(device), labels=self.labels.to(device))


def class_names_in(data: Any, column: str) -> tuple[str, ...]:
    """The names of a label column of a `datasets.Dataset`, numbers where it has none."""
    names = getattr(data.features[column], "names", None)
    if names:
        return tuple(names)
    return tuple(str(i) for i in range(int(max(data[column])) + 1))


def only_column(features: Any, kind: type, fallback: str, source: str) -> str:
    """The one column of a kind of feature, or the one called `fallback`; ValueError if there is no such one."""
    found = [name for name, feature in features.items() if isinstance(feature, kind)]
    if not found and fallback in features:
        found = [fallback]
    if len(found) != 1:
        raise ValueError(
            f"{source} has {len(found)} {kind.__name__} columns {found}; name the one to use with {fallback}_column"
        )
    return str(found[0])


def checked_labels(labels: list[int], names: tuple[str, ...], source: str) -> torch.Tensor:
    """Labels as an int64 tensor; ValueError for one that no class has, or for none at all."""
    if not labels:
        raise ValueError(f"{source} is empty")
    found = torch.tensor(labels, dtype=torch.int64)
    if int(found.min()) < 0 or int(found.max()) >= len(names):
        raise ValueError(f"labels of {source} must lie in 0 … {len(names) - 1}; found {sorted(set(labels))}")
    return found
