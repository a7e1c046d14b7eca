"""The real images that samples are compared with.

Owns where they come from. Knows nothing of classifiers, reports or cards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.settings_file import settings
from mmmi_hf.flow.training.images import Fit, LabelledImages, load_images

if TYPE_CHECKING:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline


@settings
class EvaluationDataset:
    """Where the real images come from, and how they become images of the pipeline; see `load_images`."""

    source: str
    train_split: str = "train"
    test_split: str = "test"
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    fit: Fit = "pad"

    def load(self, pipeline: FlowMatchingPipeline, progress: bool) -> tuple[LabelledImages, LabelledImages]:
        """Training and test images in the shape of the pipeline's.

        Raises:
            ValueError: the data set has other classes than the pipeline, or images that do not fit.
        """
        channels, size, _ = pipeline.latent_shape
        train, test = (
            load_images(
                self.source,
                split=split,
                size=size,
                channels=channels,
                fit=self.fit,
                image_column=self.image_column,
                label_column=self.label_column,
                revision=self.revision,
                progress=progress,
            )
            for split in (self.train_split, self.test_split)
        )
        if len(train.class_names) != pipeline.num_classes or test.class_names != train.class_names:
            raise ValueError(
                f"dataset {self.source} has {len(train.class_names)} classes in training and {len(test.class_names)} "
                f"in test, the pipeline has {pipeline.num_classes}; give the data set that the pipeline was trained on"
            )
        return train, test
