"""The real images and sounds that samples are compared with.

Owns where they come from. Knows nothing of classifiers, reports or cards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mmmi_hf.common.settings_file import settings
from mmmi_hf.flow.training.images import Fit, load_images
from mmmi_hf.flow.training.signals import load_signals

if TYPE_CHECKING:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline
    from mmmi_hf.flow.training.examples import Examples


@settings
class EvaluationDataset:
    """Where the real examples come from, and how they become outputs of the pipeline.

    `image_column` and `fit` are those of `load_images`, `signal_column` and `gain` those of `load_signals`: of a
    pipeline that makes sounds they must be what its recipe has.
    """

    source: str
    train_split: str = "train"
    test_split: str = "test"
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    fit: Fit = "pad"
    signal_column: str | None = None
    gain: Annotated[float, Field(gt=0.0)] = 1.0

    def load(self, pipeline: FlowMatchingPipeline, progress: bool) -> tuple[Examples, Examples]:
        """Training and test examples in the shape of the pipeline's outputs.

        Raises:
            ValueError: no signal column for sounds, or one for images; the data set has other classes than the
                pipeline, or examples that do not fit.
        """
        train, test = (self._split(split, pipeline, progress) for split in (self.train_split, self.test_split))
        if len(train.class_names) != pipeline.num_classes or test.class_names != train.class_names:
            raise ValueError(
                f"dataset {self.source} has {len(train.class_names)} classes in training and {len(test.class_names)} "
                f"in test, the pipeline has {pipeline.num_classes}; give the data set that the pipeline was trained on"
            )
        return train, test

    def _split(self, split: str, pipeline: FlowMatchingPipeline, progress: bool) -> Examples:
        kind, shape = pipeline.view.kind, pipeline.latent_shape
        if (kind == "sound") != (self.signal_column is not None):
            wanted = "name the column of the signals" if kind == "sound" else "be left out"
            raise ValueError(
                f"signal_column must {wanted} for a pipeline that makes outputs of kind {kind!r}, "
                f"got {self.signal_column!r}"
            )
        common: dict[str, Any] = {
            "split": split,
            "label_column": self.label_column,
            "revision": self.revision,
            "progress": progress,
        }
        if self.signal_column is not None:
            return load_signals(
                self.source, length=shape[0], gain=self.gain, signal_column=self.signal_column, **common
            )
        channels, size, _ = shape
        return load_images(
            self.source, size=size, channels=channels, fit=self.fit, image_column=self.image_column, **common
        )
