"""Figures of models side by side: decays, overviews, templates and information maps."""

import math

import numpy as np
import pytest

from mmmi_hf.causal import (
    CausalModel,
    categorical_cause,
    common_cause,
    decaying_modalities,
    independent,
    template_ablation,
    two_telescopes,
)
from mmmi_hf.figures import (
    DecaySetting,
    causal_graph,
    decay_curves,
    decay_series,
    family_overview,
    information_table,
    save,
    style,
    template_gallery,
    templates_and_maps,
)
from mmmi_hf.figures.pictures import plane

SHAPE = (1, 8, 8)


def cell(figure, gid):
    (found,) = [axes for axes in figure.axes if axes.get_gid() == gid]
    return found


def gids(figure, prefix):
    return sorted(axes.get_gid() for axes in figure.axes if (axes.get_gid() or "").startswith(prefix))


def test_decay_curves_are_the_series_of_the_models():
    settings = [
        DecaySetting(a, b, decaying_modalities(SHAPE, modalities=5, alpha=a, beta=b))
        for a in (1.2, 1.6)
        for b in (1.2, 1.4)
    ]
    figure = decay_curves(settings)
    left, right = figure.axes
    drawn = [line for line in left.lines if len(line.get_xdata())]
    assert len(drawn) == len(settings)
    for line, pair, setting in zip(drawn, right.lines, settings, strict=True):
        about_target, with_first = decay_series(setting.model)
        np.testing.assert_array_equal(line.get_ydata(), about_target)
        np.testing.assert_array_equal(pair.get_ydata(), with_first)
        assert list(pair.get_xdata()) == [2, 3, 4, 5]
        assert about_target[2] == setting.model.mutual_information("x3", "y")
        assert with_first[0] == setting.model.mutual_information("x1", "x2")
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn}
    assert len(looks) == len(settings), "colour tells α, the line's style β"
    assert "nats" in left.get_ylabel()
    assert right.get_yscale() == "log"


def test_decay_curves_need_models_of_several_modalities():
    for settings in ([], [DecaySetting(1.2, 1.2, common_cause(SHAPE, modalities=1))]):
        with pytest.raises(ValueError, match="expected at least one"):
            decay_curves(settings)


def test_an_overview_shows_every_configuration_and_quantity():
    models = {f"level-{mi}": common_cause(SHAPE, mi=mi) for mi in (0.5, 1.0, 2.0)}
    figure = family_overview(models)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(models)
    series = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert series["$I(x_{1};y)$"] == [model.mutual_information("x1", "y") for model in models.values()]
    assert series["$I(x_{1},x_{2};y)$"] == [model.mutual_information(["x1", "x2"], "y") for model in models.values()]
    assert series["$I(x_{1};x_{2})$"] == [model.mutual_information("x1", "x2") for model in models.values()]


def test_an_overview_copes_with_zero_huge_and_infinite_values():
    assert family_overview({"null": independent(SHAPE)}).axes[0].get_xscale() == "linear"
    decays = decaying_modalities((1, 32, 32), modalities=4, alpha=1.2, beta=1.2)
    assert family_overview({"decay": decays}).axes[0].get_xscale() == "log"
    shared = CausalModel([1.0], [[1.0], [1.0]], [[1.0], [1.0]], shape=SHAPE)
    series = {line.get_label(): line.get_xdata()[0] for line in family_overview({"shared": shared}).axes[0].lines}
    assert math.isnan(series["$I(x_{1};x_{2})$"])
    with pytest.raises(ValueError, match="models is empty"):
        family_overview({})


def test_templates_and_maps_are_the_model_s():
    model = two_telescopes(SHAPE, target="mass")
    figure = templates_and_maps(model, title="t")
    assert gids(figure, "template:") == ["template:x1,1", "template:x1,2", "template:x2,1", "template:x2,2"]
    assert gids(figure, "map:") == ["map:x1", "map:x2"]
    np.testing.assert_array_equal(
        cell(figure, "template:x1,2").get_images()[0].get_array(), plane(model.template(0, 1))
    )
    np.testing.assert_array_equal(
        cell(figure, "map:x2").get_images()[0].get_array(), plane(model.information_map("x2"))
    )
    assert not cell(figure, "template:x2,2").get_images(), "the second telescope sees no atmosphere"
    assert any("latent coordinate" in text.get_text() for text in figure.texts)


def test_maps_follow_the_standardisation():
    model = two_telescopes(SHAPE, target="mass")
    figure = templates_and_maps(model, standardize="rms")
    np.testing.assert_array_equal(
        cell(figure, "map:x1").get_images()[0].get_array(), plane(model.information_map("x1", standardize="rms"))
    )


def test_maps_of_dense_null_and_one_dimensional_models():
    dense = CausalModel.from_matrix(np.random.default_rng(0).normal(size=(1 + 4 + 3, 12)), [(1, 2, 2), (3,)])
    figure = templates_and_maps(dense)
    assert gids(figure, "template:") == []
    assert len(cell(figure, "map:x2").lines) >= 1
    null = templates_and_maps(independent(SHAPE))
    assert any("everywhere" in text.get_text() for text in cell(null, "bar").texts)
    assert not cell(null, "template:x1,1").get_images()
    series = templates_and_maps(common_cause((9,), mi=1.0))
    assert any("…" in text.get_text() for text in cell(series, "bar").texts)


def test_a_gallery_has_a_row_per_configuration():
    models = {
        name: template_ablation(SHAPE, eta=[1.0, 0.0], templates=[[name, "ones"]] * 2)
        for name in ("ring", "checkerboard")
    }
    figure = template_gallery(models)
    assert gids(figure, "map:") == ["map:checkerboard", "map:ring"]
    assert len(gids(figure, "template:")) == 4
    texts = [text.get_text() for text in figure.texts]
    for name, model in models.items():
        assert name in texts
        assert any(style.nats(model.mutual_information("x1", "y")) in text for text in texts)
        largest = float(model.information_map("x1").max())
        assert cell(figure, f"map:{name}").get_images()[0].get_clim() == (0.0, largest)
        assert any(f"map: 0 … {style.nats(largest)}" in text for text in texts)


def test_a_gallery_needs_models_with_templates():
    dense = CausalModel.from_matrix(np.eye(3), [(1,), (1,)])
    for models in ({}, {"dense": dense}):
        with pytest.raises(ValueError, match="each with causes and templates"):
            template_gallery(models)


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), (1, 2, 3), (3, 4, 4), (2, 3, 4, 5), (2, 1, 3, 4, 5)])
def test_modalities_of_every_shape_are_drawn(shape):
    figure = templates_and_maps(common_cause(shape, mi=1.0))
    assert gids(figure, "map:") == ["map:x1", "map:x2"]
    if len(shape) > 1:
        assert plane(np.ones(shape)).tolist() == np.ones(shape[-2:]).tolist()


@pytest.mark.parametrize(
    "settings", [{"mi": 17.0, "template": "component"}, {"rho_tilde": 1e100}, {"rho_tilde": 1e-120}]
)
def test_extreme_models_are_drawn_without_warnings(settings, tmp_path):
    model = common_cause(SHAPE, **settings)
    for draw in (causal_graph, information_table, templates_and_maps):
        save(draw(model, title="t"), tmp_path / draw.__name__)


def test_no_marker_of_an_overview_hides_another():
    figure = family_overview({f"common-cause-{i}": common_cause(SHAPE, mi=float(i), modalities=3) for i in (1, 2)})
    figure.canvas.draw()
    axes = figure.axes[0]
    ups = [axes.transData.transform(line.get_xydata())[:, 1] for line in axes.lines]
    heights = np.sort(np.concatenate(ups)) / figure.dpi
    assert len(heights) == 2 * 5
    assert np.diff(heights).min() * 72 >= 4.5  # points, the size of a marker


def test_every_template_has_its_scale():
    model = template_ablation(SHAPE, rho_tilde=[[1.0, 0.5]] * 2, templates=[["ones", "checkerboard"]] * 2)
    figure = templates_and_maps(model)
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert found.count("1") == 2
    assert found.count("\u22121 … 1") == 2


def test_the_template_of_a_categorical_cause_and_maps_of_its_label():
    model = categorical_cause((1, 8, 8), means=[[-1.0, 1.0], [0.0, 0.0]], templates=["ones", "checkerboard"])
    figure = templates_and_maps(model)
    assert np.ptp(cell(figure, "template:x1,1").get_images()[0].get_array()) == 0.0
    assert "none" in [text.get_text() for text in cell(figure, "template:x2,1").texts]
    np.testing.assert_array_equal(
        cell(figure, "map:x1").get_images()[0].get_array(), plane(model.information_map("x1"))
    )
