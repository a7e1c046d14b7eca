"""What encoders that never saw y keep of it: a linear probe of y on the frozen embedding of x1.

Owns the probes, the controls and what is possible. A number is told by ridge regression, and the R² on test rows is at
most that of E[y | x1]; a class by a linear classifier, and the accuracy is at most the Bayes accuracy. Both limits are
exact.

Controls, which say what rows, networks and probe allow: untrained encoders; raw, no encoder at all, the probe sees the
standardised coordinates of x1; supervised, the network of regression or classification, which is told y.

Beside I(x1; x2), "shared", stands the part of it that sits where y does, "aligned": I(T; x2), where T = E[y | x1] is
all that x1 tells of y. It is at most I(x1; x2), and x2 need not know of y for it: noise does, in the same place.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmmi_hf.benchmark.downstream.classification import (
    Early,
    classification_limits,
    fit_classifier,
    judged_classes,
    read_labels,
    run_classification,
)
from mmmi_hf.benchmark.downstream.regression import Task, judged, limits, read_task, run_task
from mmmi_hf.benchmark.downstream.ssl import KINDS, Contrastive, learn
from mmmi_hf.benchmark.networks.training import seeded
from mmmi_hf.benchmark.protocol.data import SPLITS, TARGET, Source
from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.laws.moments import Regression
from mmmi_hf.causal.targets.kinds.function import Function

CONTROLS = ("untrained", "raw", "supervised")
METHODS = (*KINDS, *CONTROLS)
_RIDGE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_SAME = 1e-9  # a correlation of two laws


def run_ssl(source: Source, task: Task, method: str) -> dict[str, Any]:
    """Learn from the modalities in `task.inputs` without y, then probe y from x1's embedding.

    Returns:
        what `probe_limits` and, of the probe, `judged` or `judged_classes` say, and the history; of a contrastive
        encoder, trained or not, the InfoNCE value of x1 and x2 on test rows, "estimate", with its standard error.

    Raises:
        ArithmeticError: training did not stay finite.
        ValueError: an unknown method, or fewer than two modalities.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if len(task.inputs) < 2:
        raise ValueError(f"self-supervised learning needs two modalities or more, got {', '.join(task.inputs)}")
    known, alone = probe_limits(source, task), dataclasses.replace(task, inputs=task.inputs[:1])
    classes = source.model(task.config).classes
    if method == "supervised":
        found = run_task(source, alone) if classes is None else run_classification(source, alone, "network")
        found.pop("histogram", None)
        return {**found, **known}
    if classes is None:
        parts, truth = read_task(source, task), None
    else:
        labelled = {split: read_labels(source, task, split) for split in SPLITS}
        parts = {split: (blocks, labels) for split, (blocks, labels, _) in labelled.items()}
        truth = read_labels(source, alone, "test")[2]
    blocks = [parts[split][0] for split in SPLITS]
    targets = [parts[split][1] for split in SPLITS]
    embedded, learned = _embedded(blocks, task, method)
    if classes is None:
        numbers = [target.double().numpy()[:, 0] for target in targets]
        shown = judged(probe([rows.double().numpy() for rows in embedded], numbers), numbers[-1])
    else:
        shown = judged_classes(class_probe(embedded, targets, task, classes), targets[-1].numpy(), truth)
    return {**known, **shown, **learned}


def _embedded(
    blocks: Sequence[Sequence[torch.Tensor]], task: Task, method: str
) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """What the probe sees of x1 in every split, (n, p) each, and what is recorded of the learning."""
    if method == "raw":
        return [part[0].flatten(1) for part in blocks], {"history": []}
    with seeded(task.seed):
        network = KINDS.get(method, Contrastive)(blocks[0], task)
    learned: dict[str, Any] = {
        "history": [] if method in CONTROLS else learn(network, blocks[0], blocks[1], task),
    }
    with torch.no_grad():
        embedded = [network.embed(0, part[0]) for part in blocks]
        if isinstance(network, Contrastive):
            told = network.information(embedded[-1], network.embed(1, blocks[-1][1])).double().numpy()
            learned["estimate"] = float(told.mean())
            learned["estimate_error"] = float(told.std(ddof=1)) / math.sqrt(len(told))
    return embedded, learned


def probe_limits(source: Source, task: Task) -> dict[str, float | None]:
    """What x1 alone can say of y, by `limits` or `classification_limits`, and what x1 and x2 share.

    Returns:
        these, and in nats shared: I(x1; x2); other: I(x2; y); aligned: `aligned_information`, None where that is not
        known.
    """
    first, second = task.inputs[:2]
    model, alone = source.model(task.config), dataclasses.replace(task, inputs=(first,))
    return {
        **(limits(source, alone) if model.classes is None else classification_limits(source, alone)),
        "shared": model.mutual_information(first, second),
        "other": model.mutual_information(second, TARGET),
        "aligned": aligned_information(model, first, second),
    }


def aligned_information(model: CausalModel, first: str, second: str) -> float | None:
    """I(E[y | first]; second) in nats, of modalities.

    None where it is not known. It is known where modalities and u = Σ η ũ are jointly normal and complete, and y is u,
    a monotone function of it or a class of it: what the first modality tells of y is then what it tells of u.

    With whitened blocks w, C = Cov(w₁, w₂) and v the direction of Cov(w₁, u), E[u | first] is v · w₁ but for scale, and
    its correlation with the best guess from the second is |Cᵀ v|: I = -½ ln(1 - |Cᵀ v|²).
    """
    if not _follows_one_number(model):
        return None
    law = model.with_target(None).law
    if not law.is_gaussian or law.missing:
        return None
    between, of_target = law.moments.between(first, second), law.moments.between(TARGET, first)
    if between is None or of_target is None:
        return None
    direction = (of_target.inside @ of_target.frames[1])[0]
    length = float(np.linalg.norm(direction))
    if length == 0.0:
        return 0.0
    inside = between.frames[0] @ (direction / length)
    outside = max(0.0, 1.0 - float(inside @ inside))
    square = between.outside**2 * outside + float(np.sum((between.inside.T @ inside) ** 2))
    return -0.5 * math.log1p(-square) + 0.0


def _follows_one_number(model: CausalModel) -> bool:
    """Whether y is u = Σ η ũ, rises or falls with it throughout, or is a class of it."""
    target = model.target
    if isinstance(target, Function):
        return target.function.monotone
    return target is None or target.kind == "classes"


def same_laws(source: Source, configs: Sequence[str]) -> list[list[str]]:
    """Configurations of which encoders and probes of x1 see the same law, in groups of two or more.

    In all of a group x1 and x2 have one law, and so have x1 and y; what x2 tells of y may differ. Only configurations
    of two complete, jointly normal, whitened modalities are compared.
    """
    groups: list[list[str]] = []
    for config in configs:
        group = next((each for each in groups if _same_law(source, each[0], config)), None)
        if group is None:
            groups.append([config])
        else:
            group.append(config)
    return [group for group in groups if len(group) > 1]


def _same_law(source: Source, one: str, other: str) -> bool:
    manifests = [source.manifest(config) for config in (one, other)]
    models = [source.model(config) for config in (one, other)]
    forms = [[(each.name, tuple(each.shape), each.pipeline) for each in manifest.modalities] for manifest in manifests]
    targets = [None if model.target is None else (model.target.kind, model.target.write()) for model in models]
    laws = [model.with_target(None).law for model in models]
    if forms[0] != forms[1] or len(forms[0]) != 2 or targets[0] != targets[1]:
        return False
    if any(manifest.standardize != "whiten" for manifest in manifests):
        return False
    if any(not law.is_gaussian or law.missing for law in laws):
        return False
    first, second = (name for name, *_ in forms[0])
    return all(_same(*(law.moments.between(a, b) for law in laws)) for a, b in ((first, second), (TARGET, first)))


def _same(one: Regression | None, other: Regression | None) -> bool:
    """Whether two whitened blocks have the same covariance; beside α I it has the rows and columns of the frames."""
    if one is None or other is None or abs(one.outside - other.outside) > _SAME:
        return False
    rows, columns = (np.concatenate([one.frames[side], other.frames[side]]) for side in (0, 1))
    shown = [_between_rows(each, rows, columns) for each in (one, other)]
    return bool(np.abs(shown[0] - shown[1]).max(initial=0.0) < _SAME)


def _between_rows(law: Regression, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """rows Cov(first, second) columnsᵀ of whitened blocks."""
    first, second = law.frames
    shown = rows @ first.T @ law.inside @ (second @ columns.T)
    if law.outside != 0.0:
        shown += law.outside * (rows - rows @ first.T @ first) @ columns.T
    return np.asarray(shown)


def probe(embedded: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> np.ndarray:
    """Errors on the test rows of a ridge regression on training rows, its penalty chosen on validation rows.

    Args:
        embedded, targets: of training, validation and test rows: (n, p) and (n,).
    """
    mean, deviation = embedded[0].mean(axis=0), embedded[0].std(axis=0)
    scaled = [(rows - mean) / np.where(deviation > 0, deviation, 1.0) for rows in embedded]
    offset = targets[0].mean()
    gram, cross = scaled[0].T @ scaled[0] / len(scaled[0]), scaled[0].T @ (targets[0] - offset) / len(scaled[0])
    fits = [np.linalg.solve(gram + penalty * np.eye(len(gram)), cross) for penalty in _RIDGE]
    held = [float(np.mean((scaled[1] @ fit + offset - targets[1]) ** 2)) for fit in fits]
    return np.asarray(targets[2] - scaled[2] @ fits[int(np.argmin(held))] - offset)


def class_probe(
    embedded: Sequence[torch.Tensor], labels: Sequence[torch.Tensor], task: Task, classes: int
) -> np.ndarray:
    """ln q of every test row, (n, classes), of a linear classifier on training rows, stopped by validation rows.

    Args:
        embedded, labels: of training, validation and test rows: (n, p) and (n,).
    """
    with seeded(task.seed):
        network = Early(embedded[:1], task, classes, linear=True)
    fit_classifier(network, embedded[:1], labels[0], embedded[1:2], labels[1], task)
    with torch.no_grad():
        return np.asarray(torch.log_softmax(network(embedded[2]).double(), dim=1).numpy())
