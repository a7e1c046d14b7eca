"""The accuracy of the posterior of latents that were recovered from stored bytes, beside the stated Bayes accuracy."""

from __future__ import annotations

import pytest

from tests.dataset import recovered_labels


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", ["common-cause-classes-10-1.0", "parity-2-2.5"])
def test_recovered_latents_reach_the_bayes_accuracy(name, tmp_path):
    right, expected, score, failed = recovered_labels.judged(name, 256, tmp_path / "kept.npz")
    print(f"{name}: {right:.4f} of {expected:.4f}, z = {score:+.2f}, {failed} inverses failed")
    assert failed <= 2
    assert abs(score) < 4.0


def test_what_was_inverted_is_kept(tmp_path, monkeypatch):
    real = recovered_labels.get_configuration
    monkeypatch.setattr(recovered_labels, "get_configuration", lambda name: real(name, pipeline="identity"))
    kept = tmp_path / "kept.npz"
    whole = recovered_labels.recovered("parity-2-2.5", 70)
    recovered_labels.recovered("parity-2-2.5", 32, kept)
    calls = []
    real_rows = recovered_labels.make_rows
    monkeypatch.setattr(recovered_labels, "make_rows", lambda *a, **more: calls.append(a[1:]) or real_rows(*a, **more))
    again = recovered_labels.recovered("parity-2-2.5", 70, kept)
    assert calls == [(32, 64), (64, 70)]
    for one, other in zip((*whole[0].values(), whole[2]), (*again[0].values(), again[2]), strict=True):
        assert one.tobytes() == other.tobytes()
    right, expected, score, failed = recovered_labels.judged("parity-2-2.5", 2048)
    print(f"{right:.4f} of {expected:.4f}, z = {score:+.2f}")
    assert (failed, abs(score) < 4.0) == (0, True)
