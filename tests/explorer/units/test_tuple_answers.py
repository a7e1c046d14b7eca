"""Rows on the page, without a browser: fields, a cause drawn anew, round trips, on maps that need no network."""

import numpy as np
import pytest

from mmmi_hf.dataset import make_rows
from mmmi_hf.explorer.design.panel import starting
from mmmi_hf.explorer.tuples import offered as offers
from mmmi_hf.explorer.tuples.answers import rows_shown
from mmmi_hf.explorer.tuples.offered import DESIGN, configuration, offered, read_row, read_seed
from mmmi_hf.explorer.tuples.requests import Asked, Requests
from mmmi_hf.explorer.tuples.samples import Workshop, posterior


@pytest.fixture
def quick(monkeypatch):
    """All pipelines are asinh, which any shape and class label is good for."""
    monkeypatch.setattr(
        "mmmi_hf.explorer.tuples.requests.configuration",
        lambda *given: configuration(*given).with_pipeline("asinh"),
    )


def asked(name=DESIGN, seed="3", first="0", count=2, design=None):
    return Asked(name, seed, first, count, design or starting())


class Ticks(list):
    def __call__(self, share, what):
        self.append((share, what))


def test_what_is_offered_is_quick():
    names = offered()
    assert names[0] == DESIGN
    assert "common-cause-1.0" in names
    assert not [name for name in names if name.endswith("-cifar10") or name.startswith("decaying")]


def test_rows_are_those_of_the_dataset(quick):
    ticks = Ticks()
    workshop = Workshop()
    config = configuration("common-cause-1.0", starting(), 5).with_pipeline("asinh")
    sample = workshop.rows(config, 40, 3, {}, ticks)
    table = make_rows(config, 40, 43)
    assert sample.columns["y"] == table.column("y").to_pylist()
    assert [share for share, _ in ticks] == sorted(share for share, _ in ticks)
    assert ticks[-1][0] == pytest.approx(1.0)
    again = Ticks()
    assert workshop.rows(config, 40, 3, {}, again) is sample
    assert again == []


def test_a_cause_drawn_anew_leaves_all_else(quick):
    workshop = Workshop()
    config = configuration("two-telescopes-mass-concentrated", starting(), 5).with_pipeline("asinh")
    before = workshop.rows(config, 0, 2, {}, Ticks())
    after = workshop.rows(config, 0, 2, {1: 9}, Ticks())  # the atmosphere, which x1 alone shows
    assert np.array_equal(before.columns["x2"], after.columns["x2"])
    assert before.columns["y"] == after.columns["y"]
    assert not np.array_equal(before.columns["x1"], after.columns["x1"])
    other = workshop.rows(config, 0, 2, {0: 9}, Ticks())
    assert other.columns["y"] == config.model.sample(2, seed=9).y.tolist()


def test_answers(quick):
    requests, ticks = Requests(), Ticks()
    assert requests.rows(asked(), ticks).count("<img") == 1
    found = requests.compared(asked(), "common-cause-2.5", ticks)
    assert found.count("<img") == 3
    assert "the design became common-cause-2.5" in found
    assert "ũ1 is that of seed 8" in requests.resampled(asked(), 1, "8", ticks)
    said = requests.inverted(asked(), 2, ticks)
    assert float(said.partition("relative error of ")[2].split(".</li>")[0]) < 1e-5


@pytest.mark.parametrize(
    ("name", "expected"), [("common-cause-1.0", "±"), ("common-cause-classes-2-1.0", ":"), ("parity-2-1.0", ":")]
)
def test_what_is_known_of_y(quick, name, expected):
    config = configuration(name, starting(), 1).with_pipeline("asinh")
    sample = Workshop().rows(config, 0, 2, {}, Ticks())
    known = posterior(sample)
    assert len(known) == 2
    assert expected in known[0]
    if expected == ":":
        chances = [float(part.partition(":")[2]) for part in known[0].replace(": ", ":").split()]
        assert sum(chances) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "nothing"}, "no such data"),
        ({"name": ["a"]}, "no such data"),
        ({"seed": "-1"}, "seed is '-1'"),
        ({"seed": str(2**63)}, "seed is '9223372036854775808'"),
        ({"seed": None}, "seed is empty; give"),
        ({"seed": "٣"}, "seed is"),
        ({"first": "1e3"}, "first row is '1e3'"),
        ({"count": 9}, "rows is empty or no whole number; give one from 1 to 8"),
        ({"count": None}, "rows is empty"),
        ({"count": True}, "rows is empty"),
    ],
)
def test_a_wrong_field_is_a_line(quick, change, said):
    with pytest.raises(ValueError, match=said):
        Requests().rows(asked(**change), Ticks())


def test_what_does_not_fit_is_a_line(quick):
    requests = Requests()
    three = next(name for name in offered() if name.startswith("missing-modality"))
    with pytest.raises(ValueError, match="has other modalities than the design"):
        requests.compared(asked(), three, Ticks())
    with pytest.raises(ValueError, match="cause is 7, and the design has 2"):
        requests.resampled(asked(), 7, "1", Ticks())
    with pytest.raises(ValueError, match="seed of that cause is 'x'"):
        requests.resampled(asked(), 1, "x", Ticks())
    with pytest.raises(ValueError, match="modality must be one of x1, x2"):
        requests.inverted(asked(), 5, Ticks())


def test_a_row_that_lacks_the_modality_is_not_inverted(quick):
    name = next(name for name in offered() if name.startswith("sometimes-missing"))
    config = configuration(name, starting(), 0)
    missing = np.isnan(config.model.sample(32, seed=0).z["x1"]).all(axis=(1, 2, 3))
    row = int(np.flatnonzero(missing)[0])
    with pytest.raises(ValueError, match=f"row {row} lacks x1"):
        Requests().inverted(asked(name=name, seed="0", first=str(row), count=1), 1, Ticks())


def test_numbers_that_are_written():
    assert read_seed("seed", " 12 ") == 12
    assert read_seed("seed", str(offers.MOST_SEED)) == offers.MOST_SEED
    with pytest.raises(ValueError, match="first row is '1000000001'"):
        read_row("1000000001")


def test_sounds_are_played(quick, monkeypatch):
    from mmmi_hf.dataset.generation import rows
    from mmmi_hf.flow.bijection import View

    known = rows.load_bijections

    def heard(config, **options):
        bijections = known(config, **options)
        for bijection in bijections.values():
            monkeypatch.setattr(type(bijection), "view", View("sound", 4.0, 8000), raising=False)
        return bijections

    monkeypatch.setattr(rows, "load_bijections", heard)
    config = configuration("image-and-time-series", starting(), 0).with_pipeline("asinh")
    model = {"story": "common_cause", "shape": [64], "mi": 1.0}
    config = config.replace(causal_model=model)
    sample = Workshop().rows(config, 0, 2, {}, Ticks())
    assert [len(files) for files in sample.sounds.values()] == [2, 2]
    assert sample.sounds["x1"][0].startswith(b"RIFF")
    said = rows_shown(sample, "sounds")
    assert said.count("<audio controls") == 4
    assert 'aria-label="x2 of row 1"' in said
