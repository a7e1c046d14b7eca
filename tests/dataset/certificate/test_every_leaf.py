"""Every value of a certificate and of a manifest is compared with what `verify` finds, or stands under `statements`.

A number is nudged, a text changed, a list shortened, a truth value turned, a field left out; digests and what binds the
two follow. Nothing but the value gives the folder away.
"""

import functools
import json

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, Latents
from mmmi_hf.causal.statistics import shares
from mmmi_hf.common.files import sha256_of
from mmmi_hf.dataset import certification
from mmmi_hf.dataset.certificate import measurement, standing
from mmmi_hf.dataset.certificate.inversion import Stored
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.flow.bijection import Bijection
from tests.dataset.certificate.forgeries import certificate_of, manifest_of, put_manifest

ROUGH = ("bytes",)
"""Sizes of splits in memory, which are compared within 5 %."""
FEW = 3


def leaves(document, path=()):
    """The paths of all values, lists and objects; of long lists of numbers the first, the last and one between."""
    if path:
        yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif isinstance(document, list):
        numbers = len(document) > FEW and all(isinstance(value, int | float) for value in document)
        for place in (0, len(document) // 2, len(document) - 1) if numbers else range(len(document)):
            yield from leaves(document[place], (*path, place))


def at(document, path):
    return functools.reduce(lambda inner, part: inner[part], path, document)


def with_value(document, path, value):
    changed = json.loads(json.dumps(document))
    at(changed, path[:-1])[path[-1]] = value
    return changed


def forged(value, path):
    """Other values of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        step = 1 if path[0] != "splits" or path[-1] not in ROUGH else value // 10
        return [value + step, max(value - step, 0)]
    if isinstance(value, float):
        return [value * 1.01 + 1e-3, value * 0.99]
    if isinstance(value, str):
        return [("1" if value[:1] == "0" else "0") + value[1:], value + "x"]
    if isinstance(value, list):
        return [value[:-1], value[1:]] if value else []
    return [{key: each for key, each in value.items() if key != gone} for gone in value]


def changes(document, kind):
    """(path, another document) for every value outside `statements`, where the record says something else then."""
    same = kind.model_validate_json(json.dumps(document))
    for path in leaves(document):
        if "statements" in path:
            continue
        for value in forged(at(document, path), path):
            other = with_value(document, path, value)
            try:
                if kind.model_validate_json(json.dumps(other)) == same:
                    continue  # a field that is not there says what it says by default
            except ValueError:
                pass
            yield path, other


def key_of(value):
    """What tells arguments apart."""
    if isinstance(value, list | Stored):
        value = dict(enumerate(value)) if isinstance(value, list) else vars(value)
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, dict):
        return tuple((name, key_of(each)) for name, each in value.items())
    if isinstance(value, Latents):
        return key_of(value.z), key_of(value.y), value.standardize
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, DatasetFolder):
        return str(value.path)
    return value.digest if isinstance(value, CausalModel | Bijection) else repr(value)


def memo(function):
    """The function, which computes nothing twice for equal arguments."""
    found = {}

    def looked_up(*args, **options):
        key = tuple(map(key_of, args)), key_of({name: each for name, each in options.items() if name != "tick"})
        if key not in found:
            found[key] = function(*args, **options)
        return found[key]

    return looked_up


@pytest.fixture
def quick(monkeypatch):
    """What is measured on the same bytes is measured once. Ground truth and card, which follow, are left aside."""
    computed = ("lower_bounds", "law_tests", "level_counts", "bounds_without_failures")
    for name in (*computed, "read_rows", "replay", "recover_all"):
        monkeypatch.setattr(measurement, name, memo(getattr(measurement, name)))
    for name in ("target_floor", "pair_floor"):
        monkeypatch.setattr(shares, name, memo(getattr(shares, name)))
    for name in ("mutual_information", "canonical_correlations", "pointwise_variance"):
        monkeypatch.setattr(CausalModel, name, memo(getattr(CausalModel, name)))
    monkeypatch.setattr(certification, "Measurement", functools.partial(measurement.Measurement, derived=False))


def refused(place):
    """Why the folder is refused; empty where it is valid."""
    try:
        manifest_there = place.manifest("small")
    except ConfigurationError as error:
        return str(error)
    if manifest_there is not None and bound_certificate(place, "small") is None:
        return "no certificate of this manifest"
    try:
        (result,) = certify(place.path, "small", progress=False, write=False).values()
    except ConfigurationError as error:
        return str(error)
    return " | ".join(result.reasons)


def put_certificate(place, record):
    place.certificate_path("small").write_text(json.dumps(record))


def every_change(place, which, chosen=lambda path: True):
    """(path, reason) of every change of a record, or of those at chosen paths."""
    record, manifest = certificate_of(place.path, "small"), manifest_of(place)
    assert refused(place) == ""
    if which == "certificate":
        for path, other in changes(record, CertificateRecord):
            if not chosen(path):
                continue
            put_certificate(place, other)
            yield path, refused(place)
        return
    for path, other in changes(manifest, Manifest):
        put_manifest(place, other)
        put_certificate(place, record | {"manifest_sha256": sha256_of(place.manifest_path("small"))})
        yield path, refused(place)


@pytest.mark.parametrize("which", ["certificate", "manifest"])
def test_no_value_can_be_changed(place, quick, which):
    found = list(every_change(place, which))
    print(f"{which}: {len(found)} changes of {len({path for path, _ in found})} values")
    assert [path for path, reason in found if not reason] == []


OF_THE_MACHINE = ("measured", "tried", "tests", "replays", "evidence", "median", "max", "failed")
"""Numbers that another machine may find a little otherwise."""


def test_another_machine_excuses_numbers_that_depend_on_it_and_nothing_else(place, quick, monkeypatch):
    """Among them the fields that are left out; a sample: of one modality and of one quantity."""
    monkeypatch.setattr(standing, "HERE", standing.ELSEWHERE)

    def chosen(path):
        number = any(name in path for name in OF_THE_MACHINE) and path[-1] not in ("tried", "tests", "evidence")
        return not number and not {"x2", "I(x2;y)", "I(x1,x2;y)", "I(x1;x2)"} & set(path)

    found = list(every_change(place, "certificate", chosen))
    assert {("round_trip", "x1", "view"), ("round_trip", "x1", "view", "clipped"), ("sample", "rows")} <= {
        path for path, _ in found
    }
    assert [path for path, reason in found if not reason] == []


def test_what_is_not_compared_stands_under_statements(place, quick):
    """It may say anything of its kind, and only there."""
    record = certificate_of(place.path, "small")
    for path in leaves(record["statements"], ("statements",)):
        value = at(record, path)
        if isinstance(value, str):
            put_certificate(place, with_value(record, path, value + "x"))
            assert refused(place) == "", path
