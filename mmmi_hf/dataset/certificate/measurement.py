"""The measurement of one configuration: what stored bytes give, and whether they bear out the claim.

Owns the order of the measurement and the verdict. Reads stored files alone, writes nothing.

What a valid certificate says. (1) Every file is the manifest's; every row's target, pointwise information and
view are what the causal model, the seed and the float column give. (2) A random sample of rows was inverted through the
pipeline and gave the latents of (seed, row) again: images that were shuffled, clipped, rescaled, altered or made by
another model or checkpoint are found with probability 1 - (1 - s)^n where a share s of n sampled rows is bad – 96.6 %
for one row in ten and 32 rows; many more were made again and are the same, bit for bit where hardware and software are
those of the maker. (3) With the stated confidence, all floors together hold whatever the unseen rows are, and all
measured bounds together if the other rows err as the sampled ones do. Elsewhere than on the maker's hardware it is
blind to what is hidden below the tolerances of round trip and replays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mmmi_hf.causal import Latents
from mmmi_hf.causal.statistics.law_tests.latents import FAMILY_WISE_LEVEL, law_tests, refused
from mmmi_hf.common.failures import Failure
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.certificate.bounds import (
    FEWEST_ROWS,
    Plan,
    bounds_without_failures,
    error_summary,
    lower_bounds,
    relative_errors,
    with_failures,
    without_floor,
)
from mmmi_hf.dataset.certificate.floors import (
    floor_values,
    known_maps,
    level_counts,
    rests_on_replays,
)
from mmmi_hf.dataset.certificate.folder_checks import problems_of
from mmmi_hf.dataset.certificate.inversion import (
    TRANSFORMED_TOLERANCE,
    Stored,
    Transform,
    invertible,
    recover,
    recover_all,
)
from mmmi_hf.dataset.certificate.outcome import Certificate
from mmmi_hf.dataset.certificate.recording import record_of
from mmmi_hf.dataset.certificate.recovered_rows import TOLERANCE, latent_reasons, pmi_reasons, round_trip_reasons
from mmmi_hf.dataset.certificate.replays import (
    REPLAYS,
    Replayed,
    Replayer,
    computed_here,
    how_computed,
    replay,
    replay_groups,
)
from mmmi_hf.dataset.certificate.sampled_rows import StoredRows, read_rows, true_latents
from mmmi_hf.dataset.certificate.standing import (
    by_maps,
    certificate_sample,
    claim_reasons,
    least_replays,
    least_rows,
    sample_reasons,
)
from mmmi_hf.dataset.format.certificate_record import (
    CertificateRecord,
    FloorEvidence,
    MapEvidence,
    Replays,
    RoundTrip,
    Sample,
)
from mmmi_hf.dataset.format.configurations import rebuilt_configuration, release_differences
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.generation.rows import class_labels, load_bijections, views_of
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError, FieldError

ROWS_FLOAT64 = 2
"""Rows that show that what is lost in float32 is its rounding; how exact a map is, its card says of many latents."""
CONFIDENCE = 0.99


ELSEWHERE = (
    "the floors of float columns in the certificate there rest on rows that were made again bit for bit on its maker's "
    "hardware and software; that could not be repeated here"
)


BY_ROW_GROUPS = (
    "of the data files their sizes and numbers of rows were compared, and the row groups of the sampled rows read; "
    "digests, and what the other rows hold, were not (--all reads everything)"
)


@dataclass
class Measurement:
    """The measurement of one configuration.

    Attributes:
        writes: whether a certificate is to be put in place of what is there.
        exact: whether rows that are made again here have the bits of those that are stored; known once measured.
        maps: what floors of float columns rest on then, if counts of all maps come with the package.
        Others: as in `certify`.
    """

    folder: DatasetFolder
    name: str
    manifest: Manifest
    rows: int | None = None
    rows_float64: int = ROWS_FLOAT64
    replays: int = REPLAYS
    confidence: float = CONFIDENCE
    chosen_seed: int | None = None
    use_seed: bool = True
    pipeline: str | None = None
    device: str | None = None
    progress: bool = True
    derived: bool = True
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    writes: bool = False
    replayer: Replayer | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    exact: bool = field(init=False, default=False)
    maps: dict[str, MapEvidence] | None = field(init=False, default=None)

    @cached_property
    def config(self) -> MMMIConfig:
        return rebuilt_configuration(self.folder, self.name, self.manifest)

    @property
    def whole(self) -> bool:
        """Whether every byte is read: in a folder of this machine, and elsewhere where all rows are asked for."""
        return self.folder.keeps_data or self.replays >= self.manifest.rows

    @property
    def replay(self) -> bool:
        return self.use_seed and self.manifest.seed is not None

    @property
    def again(self) -> bool:
        """Whether any row is made again."""
        return self.replay and self.replays > 0

    def rows_inverted(self, claimed: CertificateRecord | None) -> int:
        """How many rows are inverted: those asked for, or of the certificate that is there, or of the rules."""
        if self.rows is not None:
            return self.rows
        standing = 0 if claimed is None else len(claimed.sample.rows)
        # Elsewhere rows that are made again may differ by rounding: fewer rows do there for looking, not for writing.
        counted = self.maps is not None or (by_maps(claimed) and self.again and not self.writes)
        return max(standing, least_rows(self.config, by_maps=counted))

    @cached_property
    def rests_on_replays(self) -> bool:
        """Whether floors of float columns can rest on rows that were made again; see `floors.rests_on_replays`."""
        return rests_on_replays(self.config)

    def is_worthy(self, record: CertificateRecord) -> bool:
        """Whether a valid certificate is as strong as the rules ask for; a weaker one is shown and not written."""
        if len(record.sample.rows) < least_rows(self.config, by_maps=by_maps(record)):
            return False
        if self.chosen_seed is not None:
            return False
        if self.replay != (self.manifest.seed is not None):
            return False
        return not self.replay or self.replays >= least_replays(self.config, self.manifest)

    def measure(self, claimed: CertificateRecord | None) -> Certificate:
        """The certificate, before it is written."""
        problems = problems_of(self.folder, self.name, self.manifest, derived=self.derived, whole=self.whole)
        if problems:
            return self._refused(problems)
        try:
            bijections = self._bijections()
        except FieldError as error:
            if error.path[-1] == "class_label":
                return self._refused([str(error)])
            where = "" if self.pipeline else "; if it is elsewhere, say where (--pipeline)"
            raise FieldError(error.path, error.message + where) from error
        made = views_of(bijections)
        problems = [
            f"{entry.name} was made by the pipeline {entry.pipeline_digest[:12]}, {entry.pipeline!r} is "
            f"{bijections[entry.name].digest[:12]} here"
            for entry in self.manifest.modalities
            if bijections[entry.name].digest != entry.pipeline_digest
        ] + [
            f"the view of {entry.name} is {entry.view or 'none'}, its pipeline's is {made.get(entry.name) or 'none'}"
            for entry in self.manifest.modalities
            if entry.view != made.get(entry.name)
        ]
        if problems:
            return self._refused(problems)
        makers = self._makers(bijections) if self.again else bijections
        self.exact = self.again and computed_here(self.config, self.manifest, makers)
        self.maps = known_maps(self.manifest) if self.exact and self.rests_on_replays else None
        sample = certificate_sample(
            self.config,
            self.manifest,
            self.rows_inverted(claimed),
            self.rows_float64,
            self.confidence,
            self.chosen_seed,
            replays=self.replays if self.replay else 0,
        )
        bar_of_rows = progress_bar(f"reading {self.name}", self.config.rows, shown=self.progress)
        with self._timed("reading"), bar_of_rows as bar:
            stored = read_rows(
                self.folder,
                self.config,
                self.manifest,
                sample.rows,
                replay=self.replay,
                whole=self.whole,
                tick=bar.update,
            )
        problems = stored.problems
        if claimed is not None and not problems:
            problems = sample_reasons(claimed, self.config, self.manifest)
        if problems:
            return self._refused(problems)
        return self._judge(stored, bijections, makers, sample, claimed)

    def _bijections(self) -> dict[str, Any]:
        wanted = self.config.with_pipeline(self.pipeline)
        return dict(load_bijections(wanted, device=self.device))

    def _makers(self, bijections: dict[str, Any]) -> dict[str, Any]:
        """The bijections, computing as the manifest says that rows were made."""
        computing = how_computed(self.manifest)
        if not any(computing.values()):
            return bijections
        return dict(load_bijections(self.config.with_pipeline(self.pipeline), device=self.device, **computing))

    def _judge(
        self,
        stored: StoredRows,
        bijections: dict[str, Any],
        makers: dict[str, Any],
        sample: Sample,
        claimed: CertificateRecord | None,
    ) -> Certificate:
        config, model = self.config, self.config.model
        changed = self._changed(stored, bijections)
        true = true_latents(config, stored.rows) if self.replay else None
        few = np.searchsorted(stored.rows, sample.rows_float64)
        replayed, reasons = self._replayed(makers, sample)
        found, found64, coarse = self._recovered(stored, bijections, few)
        round_trip: dict[str, dict[str, RoundTrip]] = {name: {} for name in model.modalities}
        everything = np.arange(len(stored.rows))
        for kind, recovered, which in (
            ("float32", found, everything),
            ("float64", found64, few),
            ("view", coarse, everything),
        ):
            for name, latents in recovered.items() if len(which) else ():
                here = ~stored.missing[name][which]
                wanted = None if true is None else true.z[name][which][here]
                errors = relative_errors(latents[here], wanted)
                clipped = stored.clipped(name, self.manifest.views[name].half_range) if kind == "view" else None
                round_trip[name][kind] = error_summary(errors, replayed=true is not None, clipped=clipped)
                if kind in TOLERANCE:
                    reasons += round_trip_reasons(name, kind, errors, [stored.rows[i] for i in which[here]])
        tests = []
        if len(stored.rows) > 1:
            usable = {name: with_failures(values, stored.missing[name]) for name, values in found.items()}
            generator = np.random.default_rng([int(sample.seed) % 2**63, 2])
            with self._timed("tests"):
                tests = law_tests(model, usable, stored.y, config.standardize, generator)
            reasons += [
                f"{test.name} of the recovered latents: p = {test.p_value:.1e} ({test.where})"
                for test in refused(tests)
            ]
            reasons += pmi_reasons(config, stored, usable)
            reasons += latent_reasons(stored, usable)
        plan = Plan.of(model, 2 if coarse else 1, self.confidence)
        measured: dict[str, dict[str, dict[str, float]]] = {}
        if len(stored.rows) >= FEWEST_ROWS and not reasons:  # bounds are stated of data that bear out the claim
            for kind, recovered_of in (("float32", found), ("view", coarse)):
                if recovered_of:
                    with self._timed("bounds"):
                        measured[kind] = lower_bounds(
                            model, recovered_of, stored.y, config.standardize, plan, true, stored.missing
                        )
        evidence = None
        if measured and true is not None and replayed is not None:
            maps = self.maps
            counted = {
                kind: level_counts(model, plan, kind, of_kind, true)
                for kind, of_kind in (("float32", found), ("view", coarse))
                if kind in measured and not (kind == "float32" and maps)
            }
            differing = replayed.rows - replayed.equal if maps else None
            evidence = FloorEvidence(differing=differing, maps=maps or {}, **counted)
        with self._timed("bounds"):
            floors = {} if evidence is None else floor_values(config, sample, self.confidence, evidence)
        record = record_of(
            self.folder,
            self.manifest,
            bijections,
            analytic={quantity: model.mutual_information(names, "y") for quantity, names in plan.targets.items()}
            | {quantity: model.mutual_information(*pair) for quantity, pair in plan.pairs.items()},
            found=measured,
            floors=floors,
            replays=None if replayed is None else Replays(equal=replayed.equal, largest=replayed.largest),
            evidence=evidence,
            sample=sample,
            replayed=self.replay,
            confidence=self.confidence,
            single_error=plan.error,
            looks=plan.looks,
            round_trip=round_trip,
            tolerance=TOLERANCE,
            tests={test.name: test.p_value for test in tests},
            tests_level=FAMILY_WISE_LEVEL,
        )
        if claimed is not None and not reasons:
            without_failures = bounds_without_failures(
                model, coarse, stored.y, config.standardize, plan, true, stored.missing
            )
            reasons = claim_reasons(
                claimed, record, config, self.manifest, without_failures, may_rest_on_replays=self.rests_on_replays
            )
        if reasons:
            return self._refused(reasons, record)
        differs = tuple(release_differences(config, self.manifest))
        left = self._left(stored, bijections, changed, found, true)
        elsewhere = by_maps(claimed) and not by_maps(record)
        said = ((ELSEWHERE, elsewhere), (BY_ROW_GROUPS, not self.whole))
        remarks = tuple(remark for remark, holds in said if holds)
        return Certificate(
            self.name,
            True,
            (),
            record,
            differs,
            remarks=remarks,
            without_floor=without_floor(model, record),
            transformed=left,
            seconds=self.seconds,
        )

    def _changed(self, stored: StoredRows, bijections: dict[str, Any]) -> dict[str, np.ndarray]:
        """Modality → its values after the transform; before anything is inverted, as it may be refused."""
        if self.transforms and len(stored.rows) < FEWEST_ROWS:
            raise ConfigurationError(f"bounds take at least {FEWEST_ROWS} rows, got {len(stored.rows)}")
        given = {name: change(stored.values[name].copy()) for name, change in self.transforms.items()}
        try:
            return {
                name: invertible(
                    name,
                    left,
                    stored.values[name],
                    image=bijections[name].view.kind == "image",
                    view=self.manifest.views.get(name),
                )
                for name, left in given.items()
            }
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def _left(
        self,
        stored: StoredRows,
        bijections: dict[str, Any],
        changed: dict[str, np.ndarray],
        found: dict[str, np.ndarray],
        true: Latents | None,
    ) -> dict[str, float]:
        """Quantity → its bound from transformed values; modalities without a transform keep what was found."""
        if not changed:
            return {}
        model, labels, recovered = self.config.model, class_labels(self.config), dict(found)
        with (
            self._timed("transforms"),
            progress_bar(
                f"inverting what is left of {self.name}",
                shown=self.progress,
                unit="row",
                total=sum(map(len, changed.values())),
            ) as bar,
        ):
            for name, values in changed.items():
                gone = stored.missing[name]
                view = self.manifest.views.get(name)
                tolerance = TRANSFORMED_TOLERANCE if view is None else view.stored.tolerance
                recovered[name] = recover(
                    bijections[name], labels[name], values, missing=gone, tolerance=tolerance, tick=bar.update
                )
            plan = Plan.of(model, 1, self.confidence)
            bounds = lower_bounds(model, recovered, stored.y, self.config.standardize, plan, true, stored.missing)
        return {quantity: each["bound"] for quantity, each in bounds.items()}

    def _replayed(self, makers: dict[str, Any], sample: Sample) -> tuple[Replayed | None, list[str]]:
        """What making rows again found, and which of them are false."""
        if not sample.rows_replayed:
            return None, []
        on_cpu = all(bijection.device.type == "cpu" for bijection in makers.values())
        groups = replay_groups(self.config.rows, sample.rows_replayed, int(sample.seed))
        with self._timed("replays"):
            again = self.replayer or replay
            found = again(self.folder, self.config, self.manifest, makers, groups, progress=self.progress)
        if found.rows != sample.rows_replayed:
            raise Failure(
                f"{found.rows} of {sample.rows_replayed} rows of {self.config.name} were made again, and a certificate "
                "says all; run the same again"
            )
        # An accelerator may choose another kernel: rows that differ by rounding count as bad there, and are not false.
        return found, found.problems(exact=self.exact and on_cpu)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - begin

    def _recovered(
        self, stored: StoredRows, bijections: dict[str, Any], few: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Latents from the float column in float32 and in float64, and from the view, by modality."""
        labels, views = class_labels(self.config), self.manifest.views
        asked: dict[tuple[str, str], Stored] = {}
        for name, values in stored.values.items() if len(few) else ():
            exact = values[few].astype(np.float64)
            asked["float64", name] = Stored(bijections[name], labels[name], exact, stored.missing[name][few])
        for name, values in stored.values.items():
            asked["float32", name] = Stored(bijections[name], labels[name], values, stored.missing[name])
        for name, levels in stored.views.items():
            view, missing = views[name], stored.missing[name]
            seen = view.stored.values(levels, view)
            asked["view", name] = Stored(bijections[name], labels[name], seen, missing, view.stored.tolerance)
        total = sum(len(each.values) for each in asked.values())
        with progress_bar(f"inverting {self.name}", total, unit="row", shown=self.progress) as bar:
            recovered = dict(zip(asked, recover_all(list(asked.values()), tick=bar.update), strict=True))
        found: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in ("float32", "float64", "view")}
        for (kind, name), each in recovered.items():
            found[kind][name] = each.latents
            what = "views" if kind == "view" else kind
            self.seconds[what] = self.seconds.get(what, 0.0) + each.seconds
        return found["float32"], found["float64"], found["view"]

    def _refused(self, reasons: Sequence[str], record: CertificateRecord | None = None) -> Certificate:
        return Certificate(self.name, False, tuple(reasons), record, seconds=self.seconds)
