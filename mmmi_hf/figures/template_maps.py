"""Templates, and where in the latents the information about the target sits.

Owns the layout of patterns. Imports causal/ and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter

from mmmi_hf.causal import CausalModel, NotExactError
from mmmi_hf.figures import style
from mmmi_hf.figures.graph import has_causes, templates_of
from mmmi_hf.figures.pictures import Array, bare, show_pattern

_CELL = 1.05
_TOP = 0.32
_COMPACT_MAPS = 1.8
"""Inches of all maps of a compact figure side by side, while a cell has half of its size."""
_SCALE_FROM = 0.8
"""A smaller cell has no room for the range of a template."""
MAP = "information map:\n$I(z_i[c];y)$ of each\nlatent coordinate $c$"


@style.look
def templates_and_maps(
    model: CausalModel, *, standardize: str = "whiten", title: str | None = None, compact: bool = False
) -> Figure:
    """The template of every cause in every modality, and under them the information map of the modality.

    The map is I(z_i[c]; y) of every single *latent* coordinate c, in nats; what an image's pixels carry is another
    matter, and the values of single coordinates do not add up to I(x_i; y). Models of `from_matrix` have no templates,
    so that only their maps are drawn; a target of several causes, as a parity, has no map. `standardize` says which
    latents, as in `CausalModel.sample`. A compact figure can be read at the width of a phone.
    """
    templates, names = templates_of(model), model.modalities
    causes = len(templates)
    remarks = [_of_cause(model, k, name) for k, name in enumerate(templates)]
    found = [_map_of_target(model, name, standardize) for name in names]
    maps = {(causes, column): one for column, one in enumerate(found) if one is not None}
    cell = min(max(_COMPACT_MAPS / len(names), _CELL / 2), _CELL) if compact else _CELL
    board = _Board(rows=causes + bool(maps), columns=len(names), left=1.4, title=title, cell=cell)
    for row, text in enumerate([*remarks, *([MAP] if maps else [])]):
        board.remark(row, text)
    for column, name in enumerate(names):
        board.heading(column, style.symbol(name))
        for cause, shown in enumerate(templates.values()):
            axes = board.cell(cause, column, f"template:{name},{cause + 1}")
            _template(axes, shown[column], size=None if cell < _SCALE_FROM else 7.0 if compact else 6.5)
    if maps:
        _maps(board, maps, list(names), causes)
    return board.figure


def _map_of_target(model: CausalModel, name: str, standardize: str) -> Array | None:
    """The information map of a modality; None where the target has none."""
    try:
        return model.information_map(name, standardize=standardize)
    except NotExactError:
        return None


@style.look
def template_gallery(models: Mapping[str, CausalModel], *, modality: str = "x1") -> Figure:
    """One configuration per row: the templates in one modality, its information map, and what it knows.

    Args:
        models: name of the configuration → model, all with causes. Every map is coloured from 0 to its own largest
            value, which stands beside it.
        modality: the one that is shown.

    Raises:
        ValueError: no models, or a model of `from_matrix`.
    """
    if not models or not all(has_causes(model) for model in models.values()):
        raise ValueError(f"models holds {len(models)} models, expected at least one, each with causes and templates")
    causes = max(len(model.eta) for model in models.values())
    board = _Board(
        rows=len(models), columns=causes + 1, left=0.3 + 0.066 * max(map(len, models)), title=None, right=1.6
    )
    for cause in range(causes):
        board.heading(cause, f"template of {style.cause(f'ũ{cause + 1}')}", size=8.5)
    board.heading(causes, "information map", size=8.5)
    for row, (name, model) in enumerate(models.items()):
        board.remark(row, name)
        number = model.modalities.index(modality)
        for cause, shown in enumerate(templates_of(model).values()):
            _template(board.cell(row, cause, f"template:{name},{cause + 1}"), shown[number])
        one = _map_of_target(model, modality, "whiten")
        if one is not None:
            show_pattern(board.cell(row, causes, f"map:{name}"), one, limit=float(one.max()), colours=style.AMOUNT)
        pairs = [(modality, "y"), *((modality, other) for other in model.modalities if other != modality)][:2]
        known = [f"{style.information(a, b)} = {style.nats(model.mutual_information(a, b))}" for a, b in pairs]
        known.append("no map of this target" if one is None else f"map: 0 … {style.nats(float(one.max()))}")
        board.remark(row, "\n".join(known), x=board.left + _CELL * (causes + 1) + 0.1)
    return board.figure


class _Board:
    """A grid of square cells with remarks at the left and headings above."""

    def __init__(
        self, *, rows: int, columns: int, left: float, title: str | None, right: float = 0.95, cell: float = _CELL
    ) -> None:
        self.left, self._columns, self.cell_size = left, columns, cell
        right = min(right, 0.75) if cell < _CELL else right
        height = cell * rows + _TOP + 0.2 + (0.3 if title else 0.0)
        self.figure = style.new_figure(max(left + cell * columns + right, 3.6), height, constrained=False)
        self._top = height - _TOP - (0.3 if title else 0.0)
        if title:
            width = self.figure.get_figwidth()
            text, size = style.fitted(title, width)
            self.figure.text(0.1 / width, 1.0 - 0.18 / height, text, va="center", fontsize=size)

    def axes(self, left: float, bottom: float, width: float, height: float, gid: str) -> Axes:
        """An Axes at a place in inches."""
        across, up = self.figure.get_size_inches()
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up), gid=gid)

    def cell(self, row: int, column: int, gid: str) -> Axes:
        """The Axes of one cell."""
        left, bottom = self.left + column * self.cell_size + 0.04, self._top - (row + 1) * self.cell_size + 0.04
        return self.axes(left, bottom, self.cell_size - 0.08, self.cell_size - 0.08, gid)

    def bar(self, row: int) -> Axes:
        """The Axes of a colour bar right of a row."""
        left, bottom = self.left + self._columns * self.cell_size + 0.1, self._top - (row + 1) * self.cell_size + 0.04
        return self.axes(left, bottom, 0.1, self.cell_size - 0.08, "bar")

    def remark(self, row: int, text: str, *, x: float = 0.1) -> None:
        """Text beside a row."""
        across, up = self.figure.get_size_inches()
        y = (self._top - (row + 0.5) * self.cell_size) / up
        self.figure.text(x / across, y, text, va="center", fontsize=8.5, color="#444444")

    def heading(self, column: int, text: str, *, size: float = 11.0) -> None:
        """Text above a column."""
        across, up = self.figure.get_size_inches()
        x = (self.left + (column + 0.5) * self.cell_size) / across
        self.figure.text(x, (self._top + 0.07) / up, text, ha="center", fontsize=size)


def _of_cause(model: CausalModel, cause: int, name: str) -> str:
    if not has_causes(model):
        return "template of the\ncategorical cause"
    return f"template of {style.cause(name)}\n{_part_of_target(model, cause)}"


def _part_of_target(model: CausalModel, cause: int) -> str:
    if model.target is not None and model.target.made_of is not None:
        return "(part of y)" if cause in model.target.made_of else "(not part of y)"
    eta = float(model.eta[cause])
    return f"(in y with {style.number(eta)})" if eta else "(not part of y)"


def _template(axes: Axes, template: Array | None, *, size: float | None = 6.5) -> None:
    if template is None:
        bare(axes)
        axes.text(0.5, 0.5, "none", ha="center", va="center", fontsize=8, color=style.GREY, transform=axes.transAxes)
    else:
        show_pattern(axes, template)
        if size is None:
            return
        low, high = float(template.min()), float(template.max())
        scale = style.number(low) if low == high else f"{style.number(low)} … {style.number(high)}"
        frame = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        axes.text(0.5, 0.03, scale, ha="center", va="bottom", fontsize=size, transform=axes.transAxes, bbox=frame)


def _maps(board: _Board, maps: Mapping[tuple[int, int], Array], names: Sequence[str], bar_row: int) -> None:
    """Maps in their cells on one scale, and its colour bar."""
    largest = max(float(one.max()) for one in maps.values())
    image: AxesImage | None = None
    for ((row, column), one), name in zip(maps.items(), names, strict=True):
        cell = board.cell(row, column, f"map:{name}")
        image = show_pattern(cell, one, limit=largest, colours=style.AMOUNT) or image
    bar = board.bar(bar_row)
    if image is None or largest == 0.0:
        bar.set_axis_off()
        remark = "0 nats\neverywhere" if largest == 0.0 else f"0 … {style.nats(largest)}\nnats"
        bar.text(0.0, 0.5, remark, transform=bar.transAxes, fontsize=8, va="center")
        return
    board.figure.colorbar(image, cax=bar, format=FuncFormatter(lambda value, _: style.number(value)))
    bar.locator_params(nbins=4)
    bar.tick_params(labelsize=7 if board.cell_size == _CELL else 7.5)
    bar.set_xlabel("nats", fontsize=7.5)
