"""Causal graphs: what is drawn is what the model says, for few and for many variables."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmmi_hf.causal import (
    CausalModel,
    categorical_cause,
    common_cause,
    decaying_modalities,
    independent,
    templates,
    two_telescopes,
)
from mmmi_hf.figures import causal_graph, style
from mmmi_hf.figures.causal_graph import MOST_LABELS, MOST_NODES
from mmmi_hf.figures.graph import causal_structure, has_causes, pairwise_information

SHAPE = (1, 4, 4)


def drawn(figure, prefix):
    """The group ids that start so, without the prefix."""
    found = [one.get_gid() for one in figure.findobj(lambda one: (one.get_gid() or "").startswith(prefix))]
    return [gid.removeprefix(prefix) for gid in found]


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]


def labels(figure):
    return [text.get_text() for text in figure.findobj(lambda one: one.get_gid() == "label")]


def random_model(seed, modalities, causes, sources):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(modalities, causes)) * (rng.random((modalities, causes)) < 0.6)
    mixing = np.eye(modalities, sources) + rng.normal(size=(modalities, sources)) * 0.3
    eta = rng.normal(size=causes)
    eta[rng.integers(causes)] *= rng.integers(0, 2) if causes > 1 else 1
    return CausalModel(eta, weights, mixing, shape=SHAPE)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 2, 3), (5, 3, 5)])
def test_every_node_and_edge_is_drawn_once(seed, size):
    model = random_model(seed, *size)
    structure = causal_structure(model)
    nonzero = np.count_nonzero(model.eta) + np.count_nonzero(model.weights) + np.count_nonzero(model.mixing)
    assert len(structure.nodes) == 1 + sum(size)
    assert len(structure.edges) == nonzero
    figure = causal_graph(model)
    assert sorted(drawn(figure, "node:")) == sorted(node.name for node in structure.nodes)
    assert sorted(drawn(figure, "edge:")) == sorted(f"{edge.start}→{edge.end}" for edge in structure.edges)


def test_the_structure_holds_the_model_s_coefficients():
    model = two_telescopes(SHAPE, target="mass", rho_tilde_1=0.3, rho_tilde_2=-0.7, rho_hat_2=2.0, eta_1=1.5)
    assert {(edge.start, edge.end): edge.coefficient for edge in causal_structure(model).edges} == {
        ("ũ1", "y"): 1.5,
        ("ũ1", "x1"): 0.3,
        ("ũ2", "x1"): -0.7,
        ("ũ1", "x2"): 0.3,
        ("û1", "x1"): 1.0,
        ("û2", "x2"): 2.0,
    }


def test_few_edges_carry_their_coefficients():
    model = two_telescopes(SHAPE, target="mass", rho_tilde_1=0.3, rho_tilde_2=-0.7, rho_hat_2=2.0, eta_1=1.5)
    figure = causal_graph(model, title="a title")
    assert sorted(labels(figure)) == sorted(["1.5", "0.3", "−0.7", "0.3", "1", "2"])
    assert "a title" in texts(figure)
    assert drawn(figure, "matrix:") == []


def test_negative_coefficients_are_dashed_and_of_another_colour():
    model = CausalModel([1.0], [[0.5], [-0.5]], np.eye(2), shape=SHAPE)
    edges = {
        one.get_gid(): one for one in causal_graph(model).findobj(lambda one: (one.get_gid() or "")[:5] == "edge:")
    }
    assert edges["edge:ũ1→x1"].get_linestyle() == "-"
    assert edges["edge:ũ1→x2"].get_linestyle() != "-"
    assert to_hex(edges["edge:ũ1→x2"].get_edgecolor()).upper() == style.VERMILLION


def test_wider_arrows_are_larger_coefficients():
    edges = {
        one.get_gid(): one.get_linewidth()
        for one in causal_graph(decaying_modalities(SHAPE, modalities=4, alpha=2.0, beta=2.0)).findobj(
            lambda one: (one.get_gid() or "").startswith("edge:ũ1→x")
        )
    }
    widths = [edges[f"edge:ũ1→x{i}"] for i in range(1, 5)]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4


def test_one_template_is_shown_once_and_several_on_their_arrows():
    assert len(drawn(causal_graph(common_cause(SHAPE, mi=1.0)), "icon")) == 1
    assert len(drawn(causal_graph(two_telescopes((1, 8, 8))), "icon")) == 3
    assert drawn(causal_graph(independent(SHAPE)), "icon") == []


def test_a_time_series_template_is_a_curve():
    model = CausalModel([1.0], [[1.0], [1.0]], np.eye(2), shape=[(1, 4, 4), (9,)], templates=[["ones"], ["gaussian"]])
    assert len(drawn(causal_graph(model), "icon")) == 2


def test_many_edges_stand_in_a_matrix_beside_the_graph():
    model = decaying_modalities(SHAPE, modalities=10, alpha=1.4, beta=1.2)
    figure = causal_graph(model)
    assert len(drawn(figure, "edge:")) == 1 + 10 + 10  # of a hundred arrows from sources the strongest
    assert "û3→x3" in drawn(figure, "edge:")
    assert any("the matrix has all" in text for text in texts(figure))
    assert len(labels(figure)) == 1 + 10 <= 2 * MOST_LABELS
    (matrix,) = [axes for axes in figure.axes if (axes.get_gid() or "").startswith("matrix:")]
    np.testing.assert_array_equal(matrix.get_images()[0].get_array(), model.mixing)


def test_a_layer_of_very_many_nodes_is_one_node():
    causes = MOST_NODES + 1
    model = CausalModel(np.ones(causes), np.ones((3, causes)), np.eye(3), shape=SHAPE)
    figure = causal_graph(model)
    assert sorted(drawn(figure, "node:")) == sorted(["y", "x1", "x2", "x3", "û1", "û2", "û3", f"ũ1…ũ{causes}"])
    assert len(drawn(figure, "edge:")) == 1 + 3 + 3
    assert len(drawn(figure, "matrix:")) == 2, "η and w"


def test_nothing_is_drawn_outside_of_the_figure():
    for model in (common_cause(SHAPE), decaying_modalities(SHAPE, modalities=10, alpha=1.2, beta=1.2)):
        figure = causal_graph(model, title="t")
        board = figure.axes[0]
        (left, right), (low, high) = board.get_xlim(), board.get_ylim()
        for patch in board.patches:
            box = patch.get_path().get_extents(patch.get_patch_transform())
            assert left <= box.x0 <= box.x1 <= right
            assert low <= box.y0 <= box.y1 <= high


@pytest.fixture
def dense():
    return CausalModel.from_matrix(np.random.default_rng(3).normal(size=(1 + 4 + 3, 12)), [(1, 2, 2), (3,)])


def test_a_dense_model_shows_its_blocks_and_their_information(dense):
    assert not has_causes(dense)
    figure = causal_graph(dense)
    assert sorted(drawn(figure, "node:")) == ["x1", "x2", "y"]
    assert sorted(drawn(figure, "edge:")) == ["x1–x2", "x1–y", "x2–y"]
    assert sorted(labels(figure)) == sorted(style.nats(value) for value in pairwise_information(dense).values())
    assert any("no causes to draw" in text for text in texts(figure))


def test_its_structure_is_refused(dense):
    with pytest.raises(ValueError, match="from_matrix and has no causes"):
        causal_structure(dense)


def test_dense_blocks_may_share_nothing_or_everything():
    matrix = np.zeros((4, 3))
    matrix[0, 0] = matrix[1, 1] = matrix[2, 1] = matrix[3, 2] = 1.0
    model = CausalModel.from_matrix(matrix, [(1,), (1,), (1,)])
    figure = causal_graph(model, title="t")
    assert drawn(figure, "edge:") == ["x1–x2"]
    assert labels(figure) == ["∞"]


@pytest.mark.parametrize("weights", [[[0.6, 0.4], [0.6, 0.0]], [[0.6, 0.4], [0.6, 0.9]], [[0.6, -0.4], [0.2, 0.9]]])
def test_no_template_lies_on_another_arrow_s_crossing(weights):
    patterns = [[templates.gaussian(SHAPE), templates.ring(SHAPE)]] * 2
    figure = causal_graph(CausalModel([1.0, 0.0], weights, np.eye(2), shape=SHAPE, templates=patterns))
    figure.canvas.draw()
    ends = {}
    for one in figure.findobj(lambda one: (one.get_gid() or "").startswith("edge:ũ")):
        if one.get_gid() in ("edge:ũ1→x2", "edge:ũ2→x1"):
            ends[one.get_gid()] = one.axes.transData.transform(np.array(one._posA_posB))
    assert len(ends) == 2
    (p, q), (r, s) = ends.values()
    along = np.linalg.solve(np.stack([q - p, r - s], axis=1), r - p)
    crossing = p + along[0] * (q - p)
    icons = figure.findobj(lambda one: one.get_gid() == "icon")
    assert len(icons) >= 3
    for icon in icons:
        assert not icon.get_window_extent().contains(*crossing)


def test_a_categorical_cause_has_a_graph_of_its_own():
    model = categorical_cause(
        SHAPE, means=[[-1.0, 0.0, 1.0], [0.5, -2.0, 0.0], [0, 0, 0]], probabilities=[0.5, 0.3, 0.2]
    )
    figure = causal_graph(model)
    assert sorted(drawn(figure, "node:")) == sorted(["y", "c", "x1", "x2", "x3", "û1", "û2", "û3"])
    assert sorted(drawn(figure, "edge:")) == sorted(["c→y", "c→x1", "c→x2", "û1→x1", "û2→x2", "û3→x3"])
    assert sorted(labels(figure)) == sorted(["−1, 0, 1", "0.5, −2, 0", "1", "1", "1"])
    assert "categorical cause:\np = 0.5, 0.3, 0.2" in texts(figure)
    assert "target:\ncategory" in texts(figure)
    assert len(drawn(figure, "icon")) == 1


def test_many_categories_and_modalities_stand_in_a_matrix():
    means = np.linspace(-1.0, 1.0, 6) * np.arange(1.0, 14.0)[:, None]
    figure = causal_graph(categorical_cause((2,), means=means))
    assert "categorical cause:\n6 categories" in texts(figure)
    (matrix,) = [axes for axes in figure.axes if (axes.get_gid() or "").startswith("matrix:")]
    np.testing.assert_array_equal(matrix.get_images()[0].get_array(), means)
    assert "−1 … 1" in labels(causal_graph(categorical_cause((2,), means=means[:2])))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            common_cause(SHAPE, mi=1.0).with_common_scale(3.0, 1),
            "y and 1 direction of each z times one √(ν/χ²_ν), ν = 3",
        ),
        (
            common_cause(SHAPE, mi=1.0).with_missing({"x1": 0.25}),
            "a row lacks x1 with probability 0.25; a flag says so",
        ),
        (common_cause(SHAPE, mi=1.0).with_shift(0, 2.0), "do(ũ1 ~ N(0, 2²)), standardised as without it"),
    ],
)
def test_what_arrows_leave_out_stands_under_the_title(model, said):
    for title in (None, "a title"):
        assert any(text.startswith(said) for text in texts(causal_graph(model, title=title)))
