"""`publish`: a dataset folder, a pipeline or a Space to a repository of the Hub, as one commit and a tag.

Owns the public function and the reading of its arguments.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi
from huggingface_hub.constants import HF_HUB_OFFLINE

from mmmi_hf.common.places import folder_to_read, is_address, is_repository, place
from mmmi_hf.common.terminal import users_hidden
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.flow.bundled import BUNDLED, INDEX, bundled_pipelines
from mmmi_hf.hub.client.bars import progress_bars_of_the_client
from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.client.remote import Kind, SmallFiles, check_address
from mmmi_hf.hub.client.retries import Backoff
from mmmi_hf.hub.client.versions import parse_version
from mmmi_hf.hub.publishing.dataset_content import DatasetContent
from mmmi_hf.hub.publishing.release import Content, Published, Release
from mmmi_hf.hub.publishing.space_content import SpaceContent, is_space
from mmmi_hf.hub.publishing.supplement import Supplement

if TYPE_CHECKING:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline


@users_hidden()
def publish(
    folder: str | os.PathLike[str] | FlowMatchingPipeline,
    repo: str,
    *,
    version: str = "auto",
    configs: Collection[str] | None = None,
    card: str | os.PathLike[str] | None = None,
    private: bool = False,
    pr: bool = False,
    dry_run: bool = False,
    token: str | bool | None = None,
    measure: bool = True,
    progress: bool = True,
    backoff: Backoff | None = None,
    supplement: Supplement | None = None,
) -> Published:
    """Publish a dataset folder (or a pipeline, or the folder of a Space) as one commit and the tag vX.Y.Z.

    What the repository holds already stays: other configurations with their `default`, version and description, other
    text of the card, and every old revision. A call that was killed or cut off is completed by the same call.

    Args:
        folder: a dataset folder, or the address of one, whose files are sent one by one; or a pipeline: its folder, a
            bundled name, or a FlowMatchingPipeline; or the folder of a Space, as `mmmi-hf explore` writes it.
        repo: owner/name; made if it does not exist.
        version: "1.2.0", or "auto": the next minor version (1.0.0 first), counted on if another publisher takes it.
        configs: which configurations of a dataset folder; None for all.
        card: for a pipeline, a folder with recipe.yaml, training.json and evaluation.json (such as
            model_cards/fashion-mnist) to render its card from; by default the pipeline folder's README.md is used.
        private: make the repository private, if it has to be made.
        pr: open a pull request; it is tagged by the first `publish` after it was merged.
        dry_run: write nothing, and say what would change.
        token: of the Hub; None for the one that is logged in. It is never printed or stored.
        measure: invert a sample of rows first, as `certify` does (about a minute per configuration of images on a CPU),
            and put the certificate where there is none. Without it digests, ground truth and the binding of the
            certificate that is there are checked only.
        progress: show progress bars.
        backoff: how often and how patiently to try again.
        supplement: for a dataset folder, files and a section of the card beside the configurations, such as
            `mmmi_hf.benchmark.tiers.publishing.supplement_of` gives them; "auto" is its version then, and the same call
            once more finds everything there.

    Returns:
        Published.

    Raises:
        VersionExistsError: the version was published before.
        ReleaseChangedError: a configuration of this version was published with other bytes.
        DamagedFilesError: verification fails: damaged files, or rows that do not bear out the claim.
        HubRequestError: another request that cannot be met (all of these are ValueErrors).
        HubUnavailableError: the Hub did not answer as it should, several times; the same call continues.
    """
    repeatable = False
    if version == "auto" and supplement is not None:
        version, repeatable = supplement.version, True
    wanted = None if version == "auto" else parse_version(version)
    if not is_repository(repo):
        raise HubRequestError(f"repo must be owner/name, got {repo!r}")
    check_address(repo, token)
    if HF_HUB_OFFLINE:
        raise HubRequestError("publishing needs the Hub, and HF_HUB_OFFLINE is set; unset it")
    api = HfApi(token=token, library_name="mmmi_hf")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mmmi-hf-")))
        stack.enter_context(progress_bars_of_the_client(progress))
        kind: Kind = "dataset"
        content: Content
        pipeline = _pipeline_folder(folder, work)
        if pipeline is not None:
            from mmmi_hf.hub.publishing.pipeline_content import PipelineContent

            if configs is not None:
                raise HubRequestError(f"configs belong to dataset folders; {folder} is a pipeline")
            kind, content = (
                "model",
                PipelineContent(pipeline, repo, None if card is None else folder_to_read(card, "card")),
            )
        elif isinstance(folder, str | os.PathLike) and not is_address(folder) and is_space(place(folder, "folder")):
            if configs is not None or card is not None:
                raise HubRequestError(f"configs and card belong to datasets and pipelines; {folder} is a Space")
            kind, content = "space", SpaceContent(place(folder, "folder"), repo)
        elif isinstance(folder, str | os.PathLike):
            if card is not None:
                raise HubRequestError("card belongs to pipelines; the card of a dataset is generated from its folder")
            if not is_address(folder) and not place(folder, "folder").is_dir():
                raise HubRequestError(f"there is no folder {folder}; give a dataset folder, or a pipeline")
            remote = SmallFiles(api, repo, kind, work / "remote")
            content = DatasetContent(
                stack.enter_context(opened(folder, reading=True)),
                configs,
                repo,
                remote,
                work,
                measure=measure,
                write=not dry_run,
                progress=progress,
                supplement=supplement,
            )
        else:
            raise HubRequestError(f"folder must be a path or a FlowMatchingPipeline, got {type(folder).__name__}")
        if supplement is not None and kind != "dataset":
            raise HubRequestError(f"supplement belongs to dataset folders; {folder} is none")
        release = Release(api, repo, kind, content, wanted, private, pr, repeatable)
        patience = backoff or Backoff()
        return release.plan(patience) if dry_run else release.publish(patience)


def _pipeline_folder(given: str | os.PathLike[str] | FlowMatchingPipeline, work: Path) -> Path | None:
    """The folder of a pipeline, saved first if it is an object; None if it is no pipeline."""
    if isinstance(given, str | os.PathLike):
        if is_address(given):
            return None
        if os.fspath(given) in bundled_pipelines():
            return BUNDLED / os.fspath(given)
        path = place(given, "folder")
        return path if (path / INDEX).is_file() else None
    if not hasattr(given, "save_pretrained"):
        return None
    given.save_pretrained(work / "pipeline")
    return work / "pipeline"
