"""What a flow-matching pipeline releases: configuration and safetensors, its card, and the results behind the card.

Owns which files belong to a pipeline's repository. Reads files only.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmmi_hf.common.files import leaves
from mmmi_hf.common.yaml_files import front_matter
from mmmi_hf.flow.bundled import PATTERNS
from mmmi_hf.flow.description import describe
from mmmi_hf.flow.evaluation.model_card import (
    CLASSIFIERS,
    DATA,
    DISTILLATION,
    EARLIER_RECIPES,
    GUIDE,
    LIMITS,
    RECIPE,
    SEEN,
    SPEED,
    TEACHER,
    model_card,
)
from mmmi_hf.flow.evaluation.record import EVALUATION
from mmmi_hf.flow.training.record import TRAINING
from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.client.remote import State
from mmmi_hf.hub.client.versions import Version
from mmmi_hf.hub.publishing.release import CARD, LocalFile

_RECIPES = [name for last in (RECIPE, DISTILLATION) for name in (last, EARLIER_RECIPES.format(Path(last).stem))]
_OF_THE_TEACHER = [f"{TEACHER}/{name}" for name in (RECIPE, EARLIER_RECIPES.format(Path(RECIPE).stem), TRAINING)]
_RESULTS = (*_RECIPES, GUIDE, *_OF_THE_TEACHER, CLASSIFIERS, TRAINING, EVALUATION, SEEN, DATA, LIMITS, SPEED, "*.png")


class PipelineContent:
    """A pipeline's folder, as a release.

    Args:
        folder: as `save_pretrained` wrote it.
        repo: owner/name, for the card.
        results: a folder with the results of training and evaluation, to render the card from; None to take the
            README.md of `folder`, or a short card if there is none.

    Raises:
        ValueError: no pipeline, no safetensors weights, or results that do not belong together.
    """

    def __init__(self, folder: Path, repo: str, results: Path | None) -> None:
        self.description = describe(folder)
        self.folder, self.repo, self.results = folder, repo, results
        self.names = (repo.split("/")[1],)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {path: path.relative_to(folder).as_posix() for path in paths}
        self.files = [LocalFile.of(name, _inside(folder, path)) for path, name in names.items() if _belongs(name)]
        if results is not None:
            model_card(results)  # refuses results that are incomplete or of different pipelines
            behind = sorted(path for pattern in _RESULTS for path in results.glob(pattern))
            self.files += [
                LocalFile.of(path.relative_to(results).as_posix(), _inside(results, path)) for path in behind
            ]

    def prepare(self, state: State) -> Sequence[str]:
        """Weights and configuration of an earlier version that this one does not have."""
        kept = {file.path for file in self.files}
        return [path for path in state.files if _belongs(path) and path not in kept]

    def derived(self, state: State, version: Version) -> Sequence[LocalFile]:
        """README.md: rendered from the results, as it lies in the folder, or a short one."""
        del state
        return [LocalFile.of(CARD, self._card(version))]

    def _card(self, version: Version) -> bytes:
        if self.results is not None:
            return model_card(self.results, location=self.repo, revision=version.tag).encode()
        written = self.folder / CARD
        return written.read_bytes() if written.is_file() else self._short_card(version).encode()

    def _short_card(self, version: Version) -> str:
        classes, names = self.description.num_classes, self.description.class_names or ()
        label = ", class_labels=0" if classes else ""
        front = {
            "license": "apache-2.0",
            "library_name": "diffusers",
            "pipeline_tag": "unconditional-image-generation",
            "tags": ["flow-matching", "invertible", "mutual-information", "mmmi-hf", "arxiv:2510.21686"],
        }
        return f"""{front_matter(front)}# {self.names[0]}

A flow-matching model that is used as an **invertible map** from latents z ~ N(0, I) to images, for
[mmmi-hf](https://arxiv.org/abs/2510.21686): {_classes(classes, names)}. Nothing has been measured of it.

```python
import torch
from mmmi_hf import FlowMatchingPipeline

pipe = FlowMatchingPipeline.from_pretrained("{self.repo}", revision="{version.tag}")
latents = torch.randn(4, *pipe.latent_shape)
images = pipe(latents{label}).images
again = pipe.invert(images{label})
```
"""


def _inside(folder: Path, path: Path) -> Path:
    """The path, unless it is a link to something that is no part of the folder."""
    if leaves(folder, path):
        where = path.relative_to(folder)
        raise HubRequestError(
            f"{folder} is not published: {where} is a link to something outside the folder; remove it, or put the file "
            "itself there"
        )
    return path


def _belongs(path: str) -> bool:
    return any(fnmatch(path, pattern) for pattern in PATTERNS)


def _classes(count: int | None, names: Sequence[str]) -> str:
    if not count:
        return "it has no classes"
    return f"{count} classes" + (f" ({', '.join(names)})" if names else "")
