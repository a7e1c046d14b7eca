"""The parts of a dataset card's text: what is said of each configuration, in the form that the template prints.

Owns the wording of tables. Every number comes from manifests, causal models and certificates. May import causal/ and
pyarrow; never torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import combinations
from typing import Any

import numpy as np

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.yaml_files import parse
from mmmi_hf.dataset.certificate.bounds import without_floor
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, MapEvidence, bound_certificate
from mmmi_hf.dataset.format.configurations import Pair, rebuilt_configuration, release_differences
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.ground_truth import BOUNDS, ground_truth_table
from mmmi_hf.dataset.format.manifest import Manifest, ModalityEntry
from mmmi_hf.dataset.format.schema import missing_column, pmi_pairs, view_column
from mmmi_hf.dataset.format.target_columns import column_rows
from mmmi_hf.dataset.format.views import StoredView

NOT_MEASURED = "not measured"
_LISTED = 3
CUT_SHOWS_FROM = 0.01
"""Share of the values of a modality that its view cuts, from which on a card says so."""


def summary(folder: DatasetFolder, name: str, manifest: Manifest) -> dict[str, Any]:
    """What the card says of one configuration: the entries that the template prints, and its ground truth."""
    config, certificate = rebuilt_configuration(folder, name, manifest), bound_certificate(folder, name)
    truth = ground_truth_table(config, certificate)
    rows = truth.to_pylist()
    values = {row["quantity"]: row["value"] for row in rows}
    names = [modality.name for modality in manifest.modalities]
    pairs = list(combinations(names, 2))
    return {
        "config": name,
        "version": manifest.version,
        "description": manifest.description,
        "rows": manifest.rows,
        "seed": manifest.seed,
        "standardize": manifest.standardize,
        "truth": truth,
        "shapes": _shapes(manifest.modalities),
        "each": [values[f"I({x};y)"] for x in names],
        "together": [values[f"I({','.join(names)};y)"]] if len(names) > 1 else [values["I(x1;y)"]],
        "pairs": [values[f"I({a};{b})"] for a, b in pairs],
        "pairs_given_y": [values[f"I({a};{b}|y)"] for a, b in pairs],
        "bounds": [row for row in rows if any(row[column] is not None for column in BOUNDS)],
        "certificate": certificate_line(certificate, without_floor(config.model, certificate)) if certificate else "",
        "differs": "; ".join(release_differences(config, manifest)),
        "maps": _maps(manifest.modalities),
        "versions": _versions(manifest.statements.versions),
    }


def certificate_line(certificate: CertificateRecord, without: Mapping[str, str]) -> str:
    """A certificate in one line: rows inverted and made again, what came back, what both kinds of bounds rest on.

    Args:
        certificate: the record.
        without: quantity → why it has no floor, as `without_floor` gives it.
    """
    rows, again = len(certificate.sample.rows), certificate.replays
    errors = [kinds["float32"].max for kinds in certificate.round_trip.values() if "float32" in kinds]
    if certificate.replayed:
        worst = max((error for error in errors if error is not None), default=0.0)
        what = f"gave the latents of their seed again, with relative errors of at most {worst:.1e}"
    else:
        what = "gave latents of the declared law"
    parts = [f"{rows} sampled rows were inverted and {what}"]
    if again is not None:
        made = certificate.sample.rows_replayed
        close = f", {again.equal:,} of them bit for bit, the others within {again.largest:.1e}"
        parts.append(
            f"{made:,} rows were made again and are the same{', bit for bit' if again.equal == made else close}"
        )
    return "; ".join([*parts, *bound_sentences(certificate, without)])


def bound_sentences(certificate: CertificateRecord, without: Mapping[str, str]) -> list[str]:
    """What floors rest on, which quantities have none and why; and what measured bounds rest on.

    Args:
        certificate: the record.
        without: quantity → why it has no floor, as `without_floor` gives it.
    """
    confidence = f"{100 * certificate.confidence:g} % confidence"
    last = [
        *_clipped(certificate),
        f"a measured bound holds with {confidence} if the other rows err as the sampled ones do",
    ]
    if not certificate.replayed:
        return ["no floor: without the seed no row can be called good", *last]
    if certificate.evidence is None:
        return ["no floor was computed", *last]
    sentences = []
    if any(bound.floor is not None for each in certificate.bounds.values() for bound in each.columns.values()):
        sentences.append(f"a floor holds with {confidence} whatever the unseen rows are")
    if certificate.evidence.maps:
        sentences.append(_assumed(certificate.evidence.maps.values()))
    of_reason: dict[str, list[str]] = {}
    for quantity, reason in without.items():
        of_reason.setdefault(reason, []).append(quantity)
    sentences += [f"no floor of {_few(quantities)}: {reason}" for reason, quantities in of_reason.items()]
    return [*sentences, *last]


def _clipped(certificate: CertificateRecord) -> list[str]:
    """Why bounds of views are small: what they cut is not in them, and more rows or a scaled decoder do not help.

    64 rows of Fashion-MNIST with I(x1;y) = 1 nat, 36 % of whose values lie beyond ±1: of the view of ±1 the measured
    bound is 0.01, in 16 bits 0.02, and the floor is 0 however many rows were like these. The same rows seen in 8 bits
    of ±1.25, which cut 5 values in 100,000, give 0.97, and floors of 0.28 from 64 rows, 0.86 from 1,000. A decoder that
    scales the recovered latents loses 2.1 nats of ±1 on average, as they are 5.2, and 0.003 of ±1.25.
    """
    shares = {name: kinds["view"].clipped for name, kinds in certificate.round_trip.items() if "view" in kinds}
    cut = {name: share for name, share in shares.items() if share and share >= CUT_SHOWS_FROM}
    if not cut:
        return []
    low, high = (f"{100.0 * share:.0f}" for share in (min(cut.values()), max(cut.values())))
    share = f"{low} %" if low == high else f"{low} to {high} %"
    return [
        f"views cut {share} of the values of {_few(list(cut))}, which lie beyond their range: no number of inverted "
        "rows brings what is cut back into their bounds"
    ]


def _assumed(maps: Iterable[MapEvidence]) -> str:
    """What floors of float columns take from counts of maps, which were made on one kind of machine."""
    counted: dict[str, list[str]] = {}
    for each in {(each.pipeline, each.label): each for each in maps}.values():
        counted.setdefault(", ".join(f"{what} {which}" for what, which in each.software.items()), []).append(
            f"{each.bad} of {each.seen:,}"
        )
    where = "; ".join(f"{' and '.join(counts)} latents, {software}" for software, counts in counted.items())
    return f"floors of floats take inverses of maps to fail no more often here than where that was counted ({where})"


def _few(names: Sequence[str]) -> str:
    """Names in a sentence; of many, the first and how many more."""
    more = len(names) - _LISTED
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_LISTED])} and {more} others"


def _shapes(modalities: Sequence[ModalityEntry]) -> str:
    """Two modalities of 1×32×32 as "2 × (1×32×32)"; different shapes are listed."""
    shapes = ["×".join(map(str, modality.shape)) for modality in modalities]
    if len(set(shapes)) == 1:
        return shapes[0] if len(shapes) == 1 else f"{len(shapes)} of {shapes[0]}"
    return ", ".join(shapes)


def _maps(modalities: Sequence[ModalityEntry]) -> str:
    """The pipelines with their classes: "x1, x2: fashion-mnist (`f968557e76e5`), classes 7, 8"."""
    groups: dict[tuple[str, str], list[ModalityEntry]] = {}
    for modality in modalities:
        groups.setdefault((modality.pipeline, modality.pipeline_digest), []).append(modality)
    parts = []
    for (pipeline, digest), members in groups.items():
        labels = [str(member.class_label) for member in members if member.class_label is not None]
        classes = f", class{'es' if len(labels) > 1 else ''} {', '.join(labels)}" if labels else ""
        names = [member.name for member in members]
        shown = ", ".join(names) if len(names) <= _LISTED else f"{names[0]} … {names[-1]}"
        parts.append(f"{shown}: {pipeline} (`{digest[:12]}`){classes}")
    return "; ".join(parts)


def _versions(versions: Mapping[str, str]) -> str:
    shown = ("mmmi_hf", "torch", "diffusers", "numpy")
    return ", ".join(f"{name} {versions[name]}" for name in shown if name in versions)


def models_of(models: Mapping[str, CausalModel]) -> list[dict[str, str]]:
    """Causal models by the configurations that share their structure: {"names", "text"} with the text a small graph."""
    groups: dict[str, list[str]] = {}
    for name, model in models.items():
        groups.setdefault(graph_text(model), []).append(name)
    return [{"names": ", ".join(f"`{name}`" for name in names) + ":", "text": text} for text, names in groups.items()]


def graph_text(model: CausalModel) -> str:
    """The structural equations with the terms that are not zero: who listens to whom."""
    if model.structure is None:
        return summary_of(model)
    gaussian = _sum([f"η{k} ũ{k}" for k in _nonzero(model.eta)])
    equations = [f"y  = {gaussian if model.target is None else model.target.equation(gaussian)}"]
    comma = "," if max(*model.weights.shape, *model.mixing.shape) > 9 else ""
    for name, weights, mixing in zip(model.modalities, model.weights, model.mixing, strict=True):
        i = name.removeprefix("x") + comma
        scalar = [f"w{i}{k} T{i}{k} ũ{k}" for k in _nonzero(weights)]
        vector = [f"G{i}{j} û{j}" for j in _nonzero(mixing)]
        equations.append(f"{name:<2} = {_sum(scalar, vector)}")
    if len(equations) > 2 * _LISTED + 1:
        equations = [*equations[: _LISTED + 1], "…", equations[-1]]
    equations += [model.law.remark] if model.law.remark else []
    return "\n".join([*equations, "", "ũ ~ N(0, 1) scalars, û ~ N(0, I) of a modality's shape, T templates"])


def summary_of(model: CausalModel) -> str:
    """A law without causes in a line or two, and what y is made of."""
    made = "" if model.target is None else f"\ny = {model.target.equation('y')}"
    return f"{model.with_target(None).law.summary}{made}"


def pair_in_words(pair: Pair, shifted: CausalModel) -> str:
    """What a pair of train and test is, in a sentence."""
    names = ",".join(shifted.modalities)
    return (
        f"Train and validation of {pair.observed}, test of {pair.shifted}: between them lies the intervention "
        f"{shifted.law.remark}, KL({names}) = {nats(shifted.shift_divergence(shifted.modalities))} nats (test ‖ train)."
    )


def target_in_words(model: CausalModel) -> str:
    """What kind of target a model has, with its article."""
    if model.classes is not None:
        return f"a target y of {model.classes} classes"
    if model.law.target_shape:
        return f"a target y of {model.law.target_shape[0]} numbers"
    return "a scalar target y"


def equations_of(model: CausalModel) -> str:
    """The equations as captions have them."""
    remark = f"; {model.law.remark}" if model.law.remark else ""
    if model.structure is None:
        return f"{', '.join(summary_of(model).splitlines()).replace('  ', ' ')}{remark}"
    made = "Σ η ũ" if model.target is None else model.target.equation("Σ η ũ")
    return f"y = {made}, z = Σ w T ũ + Σ G û{remark}"


def _nonzero(coefficients: np.ndarray) -> list[int]:
    return [int(index) + 1 for index in np.flatnonzero(coefficients)]


def _sum(*kinds: list[str]) -> str:
    """Terms added up; of many of one kind the first and the last are written."""
    short = [terms if len(terms) <= _LISTED else [terms[0], "…", terms[-1]] for terms in kinds]
    return " + ".join(term for terms in short for term in terms) or "0"


def columns_of(manifests: Collection[Manifest], models: Collection[CausalModel]) -> list[dict[str, str]]:
    """The rows of the table of columns, over all configurations."""
    shapes: dict[str, list[str]] = {}
    ranges: dict[StoredView, dict[str, list[str]]] = {}
    latents = False
    for manifest in manifests:
        latents = latents or manifest.store_latents
        for modality in manifest.modalities:
            shape = "×".join(map(str, modality.shape))
            _once(shapes.setdefault(modality.name, []), shape)
            if (view := modality.view) is not None:
                column = view_column(modality.name, view)
                _once(ranges.setdefault(view.stored, {}).setdefault(column, []), f"±{view.half_range:g}")
    rows = []
    for members, kinds in _grouped(shapes):
        rows.append(
            {
                "name": _span(members),
                "type": f"float32 {' or '.join(kinds)}",
                "meaning": "the modality, unclipped: the values that carry the information",
            }
        )
    missing = list(dict.fromkeys(name for model in models for name in model.law.missing))
    if missing:
        rows.append(
            {
                "name": _span([missing_column(name) for name in missing]),
                "type": "bool",
                "meaning": "whether the row lacks the modality, which then holds zeros; independent of all else",
            }
        )
    rows += [
        {
            "name": _span(members),
            "type": view.noun,
            "meaning": f"the same for a viewer: {' or '.join(kinds)} {view.scaled}; not exact",
        }
        for view, of_kind in ranges.items()
        for members, kinds in _grouped(of_kind)
    ]
    pmi = list(dict.fromkeys(column for model in models for column in pmi_pairs(model)))
    rows += column_rows(models, posterior=any(manifest.stored["store_posterior"] for manifest in manifests))
    rows.append(
        {
            "name": _span(pmi),
            "type": "float64",
            "meaning": "pointwise mutual information of the row, in nats; its mean estimates the mutual information",
        }
    )
    rows.append({"name": "`row`", "type": "int64", "meaning": "the row's address: with the seed it determines the row"})
    if latents:
        names = _span([f"z{name.removeprefix('x')}" for name in shapes])
        rows.append({"name": names, "type": "float32", "meaning": "the latents, where they were stored"})
    return rows


def _once(values: list[str], value: str) -> None:
    if value not in values:
        values.append(value)


def _grouped(kinds: Mapping[str, list[str]]) -> list[tuple[list[str], list[str]]]:
    """Names with the same kinds, together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, values in kinds.items():
        groups.setdefault(tuple(values), []).append(name)
    return [(names, list(values)) for values, names in groups.items()]


def _span(names: Sequence[str]) -> str:
    shown = names if len(names) <= _LISTED else [names[0], names[1], "…", names[-1]]
    return ", ".join(name if name == "…" else f"`{name}`" for name in shown)


def corrections_of(configurations: Iterable[str]) -> list[dict[str, Any]]:
    """The corrections that concern these configurations, from corrections.yaml."""
    listed = parse(files("mmmi_hf.dataset.cards").joinpath("corrections.yaml").read_text()).data
    wanted = set(configurations)
    return [entry for entry in listed if entry["configuration"] in wanted]


def nats(value: float) -> str:
    """A number of nats: four decimals, four significant digits where that says more or is shorter."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def spread(values: Sequence[float]) -> str:
    """Values of the same kind in one cell: one if all are equal, a few listed, many as a range."""
    shown = list(dict.fromkeys(nats(value) for value in values))
    if not shown:
        return "–"
    if len(shown) <= 2:
        return ", ".join(shown)
    return f"{nats(min(values))} … {nats(max(values))}"


def bound(value: float | None) -> str:
    """A certified lower bound, rounded down, or that there is none."""
    if value is None:
        return NOT_MEASURED
    step = 1e-4 if abs(value) < 1e4 else 1.0
    return nats(math.floor(value / step) * step)


def cell(text: str) -> str:
    """Text that may stand in a cell of a table."""
    return text.replace("|", "\\|")


FILTERS = {"nats": nats, "spread": spread, "bound": bound, "cell": cell}
