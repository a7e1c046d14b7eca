"""How good the samples of a pipeline are, measured beside real images.

Owns the comparison: class accuracy, Fréchet distance, precision and recall, classification accuracy score, nearest
training images. Every measure of samples has the same measure of real images beside it. Knows nothing of files other
than those of its sheets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmmi_hf.flow.evaluation.classifier import cached_classifier, classifier_digest, judge
from mmmi_hf.flow.evaluation.metrics import binomial_interval, frechet_distance, nearest, precision_recall
from mmmi_hf.flow.evaluation.record import (
    Accuracies,
    Accuracy,
    AccuracyScore,
    BothPrecisionRecall,
    Classifier,
    Frechet,
    JudgedAccuracies,
    Pixels,
    PrecisionRecall,
    Rows,
    SampleQuality,
    Sheets,
    Spectra,
)
from mmmi_hf.flow.evaluation.seen import spectra_sheet
from mmmi_hf.flow.training.sheets import pictures, sample_sheet

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from mmmi_hf.flow.bijection import View
    from mmmi_hf.flow.evaluation.classifier import ClassifierSettings, ImageClassifier
    from mmmi_hf.flow.training.examples import Examples
    from mmmi_hf.flow.training.images import LabelledImages

SHEET = "samples.png"
NEIGHBOURS_SHEET = "neighbours.png"
SPECTRA_SHEET = "spectra.png"
VIEW_BITS = {"image": 8, "sound": 16}
"""Of the views that data sets store, by kind of output."""
_PER_ROW = 10
_QUERIES, _NEIGHBOURS, _K = 16, 6, 3


@dataclass(frozen=True)
class _Judged:
    """What the classifier says about a set of images."""

    predicted: torch.Tensor
    features: torch.Tensor
    labels: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> _Judged:
        return _Judged(self.predicted[chosen], self.features[chosen], self.labels[chosen])


def sample_quality(
    samples: torch.Tensor,
    train: LabelledImages,
    test: LabelledImages,
    settings: ClassifierSettings,
    cache: str | os.PathLike[str],
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> SampleQuality:
    """Class accuracy, Fréchet distance, precision and recall of samples, and the same of real images.

    The classifier is trained on `train` alone. The real-against-real baseline takes as many training images of each
    class as there are samples; it has seen those images, which the report says.

    Args:
        samples: (classes, per_class, C, H, W), float; they are judged as they are, unclamped.
        train, test: real images.
        settings: of the classifier.
        cache: folder in which the classifier's weights are kept.
        seed: of the choice of training images.
        device: where the classifier computes.
        progress: show progress bars.
    """
    classes, per_class = samples.shape[:2]
    labels = torch.arange(classes).repeat_interleave(per_class)
    model = cached_classifier(cache, train.values, train.labels, classes, settings, device=device, progress=progress)
    drawn = _judged(model, samples.flatten(0, 1), labels, "judging samples", progress)
    real = _judged(model, test.values, test.labels, "judging test images", progress)
    chosen = _balanced_rows(train.labels, classes, per_class, seed)
    known = _judged(model, train.values[chosen], train.labels[chosen], "judging training images", progress)
    rows = min(len(labels), len(real.labels), len(chosen))
    manifold = real.rows(_spread(len(real.labels), rows, seed)).features
    return SampleQuality(
        classifier=Classifier(
            settings=settings,
            digest=classifier_digest(train.values, train.labels, classes, settings),
            training_images=len(train),
            feature_dimension=drawn.features.shape[1],
        ),
        accuracy=JudgedAccuracies(
            samples=_accuracies(drawn, train.class_names), test_images=_accuracies(real, train.class_names)
        ),
        frechet=_frechet(drawn, known, real),
        precision_recall=BothPrecisionRecall(
            rows=rows,
            k=_K,
            samples=_precision_recall(manifold, drawn, rows, seed),
            training_images=_precision_recall(manifold, known, rows, seed),
        ),
    )


def classification_accuracy_score(
    samples: torch.Tensor,
    train: LabelledImages,
    test: LabelledImages,
    settings: ClassifierSettings,
    cache: str | os.PathLike[str],
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> AccuracyScore:
    """Accuracy on real test images of a classifier that was trained on samples (Ravuri and Vinyals, 2019).

    Beside it, the accuracy of one that was trained, by the same settings, on as many training images of each class.
    """
    classes, per_class = samples.shape[:2]
    labels = torch.arange(classes).repeat_interleave(per_class)
    chosen = _balanced_rows(train.labels, classes, per_class, seed)

    def score(images: torch.Tensor, of: torch.Tensor) -> Accuracy:
        model = cached_classifier(cache, images, of, classes, settings, device=device, progress=progress)
        judged = _judged(model, test.values, test.labels, "judging test images", progress)
        return _accuracies(judged, train.class_names).overall

    return AccuracyScore(
        images=Rows(samples=len(labels), training_images=len(chosen)),
        samples=score(samples.flatten(0, 1), labels),
        training_images=score(train.values[chosen], train.labels[chosen]),
    )


def values_of(samples: torch.Tensor, view: View) -> Pixels:
    """The range of samples (classes, per_class, *latent_shape), and how many of their values a view would clip."""
    half_level = 1 / (2 ** VIEW_BITS.get(view.kind, 8) - 1)  # of the range −1 … 1; what lies closer rounds to its end
    beyond = samples.abs() > view.half_range * (1 + half_level)
    return Pixels(
        smallest=float(samples.min()), largest=float(samples.max()), share_clipped=float(beyond.double().mean())
    )


def draw_sheets(
    samples: torch.Tensor, train: Examples, view: View, levels: Spectra | None, out: str | os.PathLike[str]
) -> Sheets:
    """Sheets in `out`: samples of every class; some samples beside the training examples nearest to them; spectra.

    Near means small Euclidean distance between values, over all training examples.

    Args:
        samples: (classes, per_class, *latent_shape).
        train: the training examples.
        view: of both.
        levels: the spectra of sounds, drawn if they are given.
        out: folder of the sheets.
    """
    classes, per_class = samples.shape[:2]
    out, names = Path(out), train.class_names

    def sheet(rows: torch.Tensor, row_names: Sequence[str], path: Path, **headings: Any) -> None:
        shown = pictures(rows.flatten(0, 1), view)
        sample_sheet(shown.unflatten(0, rows.shape[:2]), row_names, path, **headings)

    sheet(samples[:, :_PER_ROW], names, out / SHEET)
    flat = samples.flatten(0, 1)
    # Spread over the classes; within a class, not those of the other sheet if there are more.
    queries = torch.tensor(
        [(i % classes) * per_class + (_PER_ROW + i // classes) % per_class for i in range(_QUERIES)]
    ).unique()
    neighbours = min(_NEIGHBOURS, len(train))
    found = nearest(flat[queries].flatten(1), train.floats(train.values.flatten(1)), neighbours)
    grid = torch.cat([flat[queries][:, None], train.floats(train.values[found])], dim=1)
    query_names = [names[int(query) // per_class] for query in queries]
    sheet(grid, query_names, out / NEIGHBOURS_SHEET, column_names=("sample", f"nearest training {train.noun}"))
    if levels is not None:
        spectra_sheet(levels, out / SPECTRA_SHEET)
    distance = (grid[:, 1] - grid[:, 0]).flatten(1).double().norm(dim=1)
    return Sheets(
        samples=SHEET,
        neighbours=NEIGHBOURS_SHEET,
        spectra=None if levels is None else SPECTRA_SHEET,
        neighbour_queries=len(queries),
        smallest_neighbour_distance=float(distance.min()),
    )


def _judged(
    model: ImageClassifier, images: torch.Tensor, labels: torch.Tensor, description: str, progress: bool
) -> _Judged:
    predicted, features = judge(model, images, description=description, progress=progress)
    return _Judged(predicted, features, labels)


def _accuracies(judged: _Judged, class_names: tuple[str, ...]) -> Accuracies:
    hit = judged.predicted == judged.labels

    def among(chosen: torch.Tensor) -> Accuracy:
        hits, trials = int(hit[chosen].sum()), int(chosen.sum())
        if trials == 0:
            return Accuracy(images=0)
        return Accuracy(value=hits / trials, interval_95=binomial_interval(hits, trials), images=trials)

    return Accuracies(
        overall=among(torch.ones_like(hit)),
        per_class={name: among(judged.labels == label) for label, name in enumerate(class_names)},
    )


def _frechet(drawn: _Judged, known: _Judged, real: _Judged) -> Frechet:
    distance = frechet_distance(drawn.features, real.features)
    baseline = frechet_distance(known.features, real.features)
    return Frechet(
        samples_to_test=distance,
        training_to_test=baseline,
        ratio=distance / baseline,
        rows=Rows(samples=len(drawn.labels), training_images=len(known.labels), test_images=len(real.labels)),
    )


def _precision_recall(manifold: torch.Tensor, judged: _Judged, rows: int, seed: int) -> PrecisionRecall:
    chosen = judged.features[_spread(len(judged.labels), rows, seed)]
    precision, recall = precision_recall(manifold, chosen, k=min(_K, rows - 1))
    return PrecisionRecall(precision=precision, recall=recall)


def _balanced_rows(labels: torch.Tensor, classes: int, per_class: int, seed: int) -> torch.Tensor:
    """Up to `per_class` random rows of each class."""
    draw = torch.Generator().manual_seed(seed)
    chosen = []
    for label in range(classes):
        rows = (labels == label).nonzero()[:, 0]
        chosen.append(rows[torch.randperm(len(rows), generator=draw)[:per_class]])
    return torch.cat(chosen)


def _spread(available: int, wanted: int, seed: int) -> torch.Tensor:
    """`wanted` random rows of `available`, in order."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randperm(available, generator=draw)[:wanted].sort().values
