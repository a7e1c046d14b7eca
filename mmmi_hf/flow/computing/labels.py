"""Class labels in every form in which people give them.

Owns the one check of them. Imports of this room the contract only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Labels


def labels_of_rows(class_labels: Labels, n: int, num_classes: int | None, device: torch.device) -> torch.Tensor | None:
    """Class labels of n rows as an int64 tensor (n,) on a device; None without classes.

    Raises:
        ValueError: labels that do not fit; says what would.
    """
    if num_classes is None:
        if class_labels is not None:
            raise ValueError(f"class_labels must be None: this pipeline has no classes, got {class_labels!r}")
        return None
    valid = f"integers in 0 … {num_classes - 1}, one for all rows or one for each of the {n}"
    if class_labels is None:
        raise ValueError(f"class_labels must be {valid}, got None")
    try:
        labels = torch.as_tensor(class_labels)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"class_labels must be {valid}, got {class_labels!r}") from None
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"class_labels must be {valid}, got dtype {labels.dtype}")
    if labels.ndim > 1 or (labels.ndim == 1 and len(labels) != n):
        raise ValueError(f"class_labels must be {valid}, got shape {tuple(labels.shape)}")
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.numel():
        raise ValueError(f"class_labels must be {valid}, got {int(outside.reshape(-1)[0])}")
    return labels.to(device, torch.int64).expand(n)
