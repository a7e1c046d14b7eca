"""The evaluation of a pipeline, `evaluation.json`: all that its card states.

Owns the types, their writer and their reader. What the numbers mean is said where they are measured.
"""

from __future__ import annotations

import math
import statistics
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from mmmi_hf.common.records import Amount, Count, Digest, Positive, Record, Share
from mmmi_hf.flow.bijection import Kind
from mmmi_hf.flow.diagnostics import RoundTripReport, StepCertificate
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.evaluation.real_images import EvaluationDataset

EVALUATION = "evaluation.json"
S = TypeVar("S")
R = TypeVar("R")


class Scheduler(Record):
    """How a pipeline steps from latents to images; see `FlowMatchODEScheduler`."""

    sigma_min: float
    num_inference_steps: Positive
    grid: str | tuple[float, ...]
    solver: str
    timestep_scale: float

    @property
    def evaluations(self) -> int:
        """Of the network, from a latent to an image."""
        return self.num_inference_steps * (2 if self.solver == "midpoint" else 1)


class PipelineFacts(Record):
    """The pipeline that was measured."""

    digest: Digest
    latent_shape: tuple[Positive, ...]
    kind: Kind = "image"
    num_classes: Positive
    class_names: tuple[str, ...] | None = None
    parameters: Positive
    scheduler: Scheduler


class Accuracy(Record):
    """The share of images that a classifier recognises, with its 95 % interval; None of no images."""

    value: Share | None = None
    interval_95: tuple[Share, Share] | None = None
    images: Count


class Accuracies(Record):
    """Over all images, and over those of each class, by name."""

    overall: Accuracy
    per_class: dict[str, Accuracy]


class JudgedAccuracies(Record):
    """Of samples and of the real images that the classifier has not seen."""

    samples: Accuracies
    test_images: Accuracies


class Rows(Record):
    """How many images were compared."""

    samples: Count
    training_images: Count
    test_images: Count | None = None


class Classifier(Record):
    """The classifier that judged: its settings, digest of settings and images, and its features."""

    settings: ClassifierSettings
    digest: Digest
    training_images: Positive
    feature_dimension: Positive


class Frechet(Record):
    """Fréchet distances between features: of samples and of training images to test images, and their ratio."""

    samples_to_test: float
    training_to_test: float
    ratio: float
    rows: Rows


class PrecisionRecall(Record):
    """Precision and recall of one set of images."""

    precision: Share
    recall: Share


class BothPrecisionRecall(Record):
    """Of samples and of training images, against `rows` test images, by the k-th neighbour."""

    rows: Positive
    k: Positive
    samples: PrecisionRecall
    training_images: PrecisionRecall


class Pixels(Record):
    """Range of the samples' values, and the share of them that a view would clip."""

    smallest: float
    largest: float
    share_clipped: Share


class BandLevels(Record):
    """Of the sounds of a class: the level of each band in decibels; empty of no sounds."""

    samples: tuple[float, ...]
    training_sounds: tuple[float, ...]
    test_sounds: tuple[float, ...]

    def difference(self, of: tuple[float, ...]) -> float | None:
        """Root mean square of the differences to the test sounds, over bands."""
        if not of or not self.test_sounds:
            return None
        return math.sqrt(statistics.fmean((a - b) ** 2 for a, b in zip(of, self.test_sounds, strict=True)))


class Spectra(Record):
    """Mean spectra of sounds: the upper ends of frequency bands in Hz, and their levels by class."""

    bands_to: tuple[float, ...]
    per_class: dict[str, BandLevels]


class Sheets(Record):
    """Names of the sheets, and what is seen in that of neighbours."""

    samples: str
    neighbours: str
    spectra: str | None = None
    neighbour_queries: Positive
    smallest_neighbour_distance: Amount


class SampleQuality(Record):
    """How good samples are, beside real images."""

    classifier: Classifier
    accuracy: JudgedAccuracies
    frechet: Frechet
    precision_recall: BothPrecisionRecall


class JudgedSamples(SampleQuality):
    """With their range, the spectra of sounds, and the sheets on which some of them are shown."""

    pixels: Pixels
    spectra: Spectra | None = None
    sheets: Sheets


class AccuracyScore(Record):
    """Accuracy on test images of classifiers that were trained on samples, and on as many training images."""

    images: Rows
    samples: Accuracy
    training_images: Accuracy


class StorageLoss(Record):
    """Errors of latents whose images were stored in a format; None where no row could be inverted."""

    relative_error: Amount | None = None
    mean_direction_error: Amount | None = None
    failed: Count


class StorageLosses(Record):
    """By format."""

    rows: Positive
    formats: dict[str, StorageLoss]


class SampleSettings(Record):
    """How samples were drawn and judged."""

    seed: int
    batch_size: Positive
    per_class: Positive
    dataset: EvaluationDataset
    classifier: ClassifierSettings


class RoundTripSettings(Record):
    """Which latents went to images and back."""

    seed: int
    batch_size: Positive
    per_class: Positive


class CertificateSettings(Record):
    """Which trajectories were probed."""

    seed: int
    samples: Positive


class StorageSettings(Record):
    """Which images were stored."""

    seed: int
    per_class: Positive


class Part(Record, Generic[S, R]):
    """Something measured: with which settings, on what, and how it is repeated."""

    settings: S
    results: R
    seconds: Amount
    device: str = "cpu"
    threads: Positive
    machine: str
    command: str
    versions: dict[str, str]


RoundTrip = Part[RoundTripSettings, RoundTripReport]


class Parts(Record):
    """What was measured so far."""

    samples: Annotated[Part[SampleSettings, JudgedSamples] | None, Field(title="Quality of the samples")] = None
    classification_accuracy_score: Annotated[
        Part[SampleSettings, AccuracyScore] | None, Field(title="Classification accuracy score")
    ] = None
    round_trip_float32: Annotated[RoundTrip | None, Field(title="Round trip in float32")] = None
    round_trip_float64: Annotated[RoundTrip | None, Field(title="Round trip in float64")] = None
    certificate: Annotated[Part[CertificateSettings, StepCertificate] | None, Field(title="Step certificate")] = None
    storage: Annotated[Part[StorageSettings, StorageLosses] | None, Field(title="Storage")] = None

    @property
    def measured(self) -> dict[str, Part[Record, Record]]:
        """Title of a part → the part, for those that are there."""
        return {
            field.title or name: part
            for name, field in type(self).model_fields.items()
            if (part := getattr(self, name)) is not None
        }


class Evaluation(Record):
    """All that was measured of one pipeline."""

    format: Literal[1] = 1
    pipeline: PipelineFacts
    parts: Parts = Parts()
