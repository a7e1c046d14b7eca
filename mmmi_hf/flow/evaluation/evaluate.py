"""The evaluation of a trained pipeline: everything that its model card states.

Owns which parts `evaluation.json` gets: samples, classification accuracy score, round trips, step certificate, storage.
Each part is measured and written by itself, so that parts can be made in separate runs into the same file, and a part
that is there with the same settings is kept. Joins the modules that measure; measures nothing itself. It may read data
sets, and knows nothing of causal models.
"""

from __future__ import annotations

import platform
import shlex
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.common.places import folder_to_write
from mmmi_hf.flow.devices import check_device, device_name
from mmmi_hf.flow.diagnostics import round_trip, step_certificate
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.evaluation.quality import classification_accuracy_score, draw_sheets, sample_quality, values_of
from mmmi_hf.flow.evaluation.real_images import EvaluationDataset
from mmmi_hf.flow.evaluation.record import (
    EVALUATION,
    AccuracyScore,
    CertificateSettings,
    Evaluation,
    JudgedSamples,
    Part,
    Parts,
    PipelineFacts,
    RoundTripSettings,
    SampleSettings,
    Scheduler,
    StorageSettings,
)
from mmmi_hf.flow.evaluation.sample_store import stored_samples
from mmmi_hf.flow.evaluation.seen import seen, seen_examples, spectra
from mmmi_hf.flow.evaluation.storage import storage_losses
from mmmi_hf.flow.pipeline import FlowMatchingPipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmmi_hf.common.records import Record
    from mmmi_hf.flow.training.examples import Examples
    from mmmi_hf.flow.training.images import LabelledImages

ClassifierChoice = ClassifierSettings | str | PathLike[str] | None
"""Settings of a classifier, or a YAML file of them."""

PACKAGES = ("mmmi-hf", "torch", "diffusers", "datasets", "numpy", "safetensors", "pillow")


def evaluate_flow(
    pipeline: FlowMatchingPipeline | str | PathLike[str],
    dataset: EvaluationDataset | str | None,
    out: str | PathLike[str],
    *,
    samples_per_class: int = 1000,
    cas: bool = False,
    round_trip_per_class: int = 64,
    certificate_per_class: int = 1,
    storage_per_class: int = 2,
    seed: int = 0,
    batch_size: int = 50,
    classifier: ClassifierChoice = None,
    cas_classifier: ClassifierChoice = None,
    device: str | torch.device | None = None,
    cache: str | PathLike[str] | None = None,
    command: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Measure a pipeline and write `evaluation.json`, `samples.png` and `neighbours.png` into `out`.

    A number of 0 skips its part, and what an earlier run wrote about that part stays. A killed run continues where it
    was: finished parts, drawn samples and the trained classifier are kept.

    Args:
        pipeline: the pipeline, or what `FlowMatchingPipeline.from_pretrained` takes.
        dataset: real images; a plain string takes the defaults of `EvaluationDataset`. None if no part needs them.
        out: folder of the report: new, or that of an earlier evaluation of the same pipeline.
        samples_per_class: samples from N(0, I) that are judged by a classifier trained on real images.
        cas: also train the classifier on the samples and test it on real images.
        round_trip_per_class: latents per class that go to images and back, in float32 and in float64.
        certificate_per_class: trajectories per class along which the steps' Jacobians are probed.
        storage_per_class: images per class that are stored in several formats and inverted.
        seed: of latents and choices.
        batch_size: images per evaluation of the network.
        classifier: how the classifier is trained, or a YAML file that says so.
        cas_classifier: the same for the classifier that is trained on samples; by default that of `classifier`, whose
            seed it has if its file names none.
        device: where everything is computed; by default where the pipeline is, and for the name of one, a GPU if there
            is one. A pipeline that is given is moved there.
        cache: folder for samples and classifier weights; `out/cache` if not given.
        command: recorded as the way to repeat the parts measured now; by default the equivalent command line.
        progress: show progress bars.

    Returns:
        What the file holds.

    Raises:
        ValueError: a negative number, no data set where one is needed, settings of a classifier that is not needed, a
            pipeline without classes, no such device, or an `out` that holds something else.
    """
    numbers = {
        "samples_per_class": samples_per_class,
        "round_trip_per_class": round_trip_per_class,
        "certificate_per_class": certificate_per_class,
        "storage_per_class": storage_per_class,
    }
    out = folder_to_write(out)
    _check_request(numbers, batch_size, seed, cas, classifier, cas_classifier, dataset)
    numbers = {name: int(number) for name, number in numbers.items()}
    samples_per_class, round_trip_per_class, certificate_per_class, storage_per_class = numbers.values()
    batch_size, seed = int(batch_size), int(seed)
    data = EvaluationDataset(dataset) if isinstance(dataset, str) else dataset
    name = None if isinstance(pipeline, FlowMatchingPipeline) else str(pipeline)
    judge = _settings(classifier, ClassifierSettings(seed=seed))
    pupil = _settings(cas_classifier, judge)
    pipe = placed(pipeline, device)
    cache = folder_to_write(cache, "cache") if cache is not None else out / "cache"
    if command is None:
        files = {"classifier": classifier, "cas-classifier": cas_classifier}
        command = _command(name, data, out, numbers, cas=cas, files=files, seed=seed, batch_size=batch_size)
    report = _Report(out, _described(pipe), command, pipe.device)
    drawn = {"seed": seed, "batch_size": batch_size}
    if samples_per_class and data is not None:
        judging: dict[str, Any] = {**drawn, "per_class": samples_per_class, "dataset": data}
        work = _SampleWork(pipe, data, cache, samples_per_class, seed, batch_size, progress)
        report.part("samples", SampleSettings(**judging, classifier=judge), lambda: work.quality(judge, out))
        if cas:
            report.part(
                "classification_accuracy_score",
                SampleSettings(**judging, classifier=pupil),
                lambda: work.accuracy_score(pupil),
            )

    for dtype in (torch.float32, torch.float64) if round_trip_per_class else ():
        wanted: dict[str, Any] = {**drawn, "per_class": round_trip_per_class}
        report.part(
            "round_trip_" + str(dtype).removeprefix("torch."),
            RoundTripSettings(**wanted),
            partial(round_trip, pipe, **wanted, dtype=dtype, progress=progress),
        )
    if certificate_per_class:
        trajectories = certificate_per_class * (pipe.num_classes or 0)
        report.part(
            "certificate",
            CertificateSettings(seed=seed, samples=trajectories),
            lambda: step_certificate(pipe, samples=trajectories, seed=seed, progress=progress),
        )
    if storage_per_class:
        report.part(
            "storage",
            StorageSettings(seed=seed, per_class=storage_per_class),
            lambda: storage_losses(pipe, storage_per_class, seed=seed, progress=progress),
        )
    return report.content


@dataclass
class _SampleWork:
    """The parts that need samples and real images; both are fetched when the first of them is really made."""

    pipeline: FlowMatchingPipeline
    data: EvaluationDataset
    cache: Path
    per_class: int
    seed: int
    batch_size: int
    progress: bool
    _loaded: tuple[torch.Tensor, Examples, Examples] | None = None

    def _inputs(self) -> tuple[torch.Tensor, Examples, Examples]:
        if self._loaded is None:
            train, test = self.data.load(self.pipeline, self.progress)
            samples = stored_samples(
                self.pipeline,
                self.per_class,
                self.cache,
                seed=self.seed,
                batch_size=self.batch_size,
                progress=self.progress,
            )
            self._loaded = samples, train, test
        return self._loaded

    def quality(self, settings: ClassifierSettings, out: Path) -> JudgedSamples:
        samples, train, test = self._inputs()
        view = self.pipeline.view
        found = sample_quality(*self._seen(), settings, self.cache, **self._options())
        levels = spectra(samples, train, test, view)
        return JudgedSamples(
            **dict(found),
            pixels=values_of(samples, view),
            spectra=levels,
            sheets=draw_sheets(samples, train, view, levels, out),
        )

    def accuracy_score(self, settings: ClassifierSettings) -> AccuracyScore:
        return classification_accuracy_score(*self._seen(), settings, self.cache, **self._options())

    def _seen(self) -> tuple[torch.Tensor, LabelledImages, LabelledImages]:
        """The inputs as a classifier sees them."""
        (samples, train, test), view = self._inputs(), self.pipeline.view
        images = seen(samples.flatten(0, 1), view)
        return images.unflatten(0, samples.shape[:2]), seen_examples(train, view), seen_examples(test, view)

    def _options(self) -> dict[str, Any]:
        return {"seed": self.seed, "device": self.pipeline.device, "progress": self.progress}


def _check_request(
    numbers: dict[str, int],
    batch_size: int,
    seed: int,
    cas: bool,
    classifier: ClassifierChoice,
    cas_classifier: ClassifierChoice,
    dataset: object,
) -> None:
    samples = numbers["samples_per_class"]
    for argument, number in numbers.items():
        if not is_whole(number, 0):
            raise ValueError(f"{argument} must be 0 (skip this part) or a whole number, got {number!r}")
    for argument, number, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not is_whole(number, least):
            raise ValueError(f"{argument} must be a whole number of at least {least}, got {number!r}")
    if cas and not samples:
        raise ValueError("cas needs samples, got samples_per_class=0; give at least 1")
    if cas_classifier is not None and not cas:
        raise ValueError(f"cas_classifier needs cas, got {cas_classifier} without; add cas, or leave it out")
    if classifier is not None and not samples:
        raise ValueError(f"classifier needs samples to judge, got {classifier} and samples_per_class=0; leave it out")
    if samples and dataset is None:
        raise ValueError("dataset must be given to judge samples, got None; give it, or samples_per_class=0")


def placed(
    pipeline: FlowMatchingPipeline | str | PathLike[str], device: str | torch.device | None
) -> FlowMatchingPipeline:
    """The pipeline on its device; ValueError if it has no classes, or there is no such device."""
    if not isinstance(pipeline, FlowMatchingPipeline):
        pipeline = FlowMatchingPipeline.from_pretrained(pipeline)
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
    if not pipeline.num_classes:
        raise ValueError("pipeline must have classes, got one without; only class-conditional pipelines are evaluated")
    if device is None:
        return pipeline
    check_device(device)
    moved: FlowMatchingPipeline = pipeline.to(device)
    return moved


def _settings(given: ClassifierChoice, default: ClassifierSettings) -> ClassifierSettings:
    if given is None or isinstance(given, ClassifierSettings):
        return given or default
    return ClassifierSettings.from_yaml(given, seed=default.seed)


class _Report:
    """`evaluation.json` while it grows."""

    def __init__(self, out: Path, pipeline: PipelineFacts, command: str, device: torch.device) -> None:
        self.path, self.command = out / EVALUATION, command
        self.device = device_name(device)
        self.content = Evaluation(pipeline=pipeline)
        if self.path.exists():
            self.content = Evaluation.read(self.path)
            found = self.content.pipeline.digest
            if found != pipeline.digest:
                raise ValueError(
                    f"{self.path} is the evaluation of another pipeline (digest {found[:12]}, not "
                    f"{pipeline.digest[:12]}); give another folder, or delete it"
                )
        elif out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, got the file {out}")

    def part(self, name: str, settings: Record, measure: Callable[[], Record]) -> None:
        """Measure a part and write the file, unless the part is there with these settings."""
        there = getattr(self.content.parts, name)
        if there is not None and there.settings == settings:
            return
        started = time.monotonic()
        results = measure()
        kind: type[Part[Record, Record]] = get_args(Parts.model_fields[name].annotation)[0]
        made = kind(
            settings=settings,
            results=results,
            seconds=round(time.monotonic() - started, 1),
            device=self.device,
            threads=torch.get_num_threads(),
            machine=platform.machine(),
            command=self.command,
            versions=_versions(),
        )
        parts = self.content.parts.model_copy(update={name: made})
        self.content = self.content.model_copy(update={"parts": parts})
        self.content.write(self.path)


def _described(pipeline: FlowMatchingPipeline) -> PipelineFacts:
    config = pipeline.scheduler.config
    return PipelineFacts(
        digest=pipeline.digest,
        latent_shape=pipeline.latent_shape,
        kind=pipeline.view.kind,
        num_classes=pipeline.num_classes or 0,
        class_names=None if pipeline.class_names is None else tuple(pipeline.class_names),
        parameters=sum(p.numel() for p in pipeline.unet.parameters()),
        scheduler=Scheduler(
            grid=config.grid if isinstance(config.grid, str) else tuple(config.grid),
            **{name: config[name] for name in Scheduler.model_fields if name != "grid"},
        ),
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = "not installed"
    return found


def _command(
    name: str | None,
    data: EvaluationDataset | None,
    out: Path,
    numbers: dict[str, int],
    *,
    cas: bool,
    files: dict[str, ClassifierChoice],
    seed: int,
    batch_size: int,
) -> str:
    words = ["mmmi-hf", "evaluate-flow", name or "PIPELINE"]
    if data is not None:
        words += ["--dataset", data.source]
        words += ["--signal-column", data.signal_column, "--gain", repr(data.gain)] if data.signal_column else []
    words += ["--out", str(out)]
    for option, number in numbers.items():
        words += ["--" + option.replace("_", "-"), str(number)]
    words += ["--cas"] if cas else []
    for option, file in files.items():
        words += [f"--{option}", str(file)] if isinstance(file, str | PathLike) else []
    return shlex.join([*words, "--seed", str(seed), "--batch-size", str(batch_size)])
