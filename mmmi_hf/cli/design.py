"""`design`: from wanted information to coefficients, and to a YAML file that `generate` takes."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.cli.application import AsFormat, Format, app, number, print_table, print_text, whole
from mmmi_hf.common.failures import DiskFullError
from mmmi_hf.common.places import place
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE

if TYPE_CHECKING:
    from mmmi_hf.causal import CausalModel
    from mmmi_hf.causal.design.results import Design
    from mmmi_hf.dataset.releases.configuration import MMMIConfig

_FEW = 3
_OPTIONS = {
    "story": "--story",
    "shape": "--shape",
    "wanted": "--want",
    "parameter": "--solve-for",
    "within": "--within",
    "root": "--root",
}


@app.command()
def design(
    want: Annotated[
        list[str],
        typer.Option(
            help='A wanted quantity in nats, e.g. "I(x1;y)=1.0"; may be repeated: I(xi;y), I(x1,x2;y), I(xi;xj), '
            "I(xi;xj|y). With --story, one quantity of any kind."
        ),
    ],
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Shape of every modality, e.g. 1,32,32; repeated: one per modality. Default: the pipeline's."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help='What y is made of, as in YAML: "classes: {quantiles: 10}", "function: {name: square}" or "parity: '
            '{causes: [0, 1]}"; then "bayes_accuracy(x1;y)=0.8", bayes_log_loss and r2_ceiling may be wanted too. '
            'YAML files also take, with a model written by hand, "boolean: {causes: [0, 1], table: [0, 1, 1, 2]}", '
            '"several: {coefficients: [[1, 0], [1, 1]]}" and "category: {categories: 3}".'
        ),
    ] = None,
    modalities: Annotated[int | None, typer.Option(help="Number of modalities; default: as many as are named.")] = None,
    story: Annotated[
        str | None,
        typer.Option(
            help="Search one parameter of this story: common_cause, two_telescopes, decaying_modalities or "
            "template_ablation. Without it closed forms are used."
        ),
    ] = None,
    solve_for: Annotated[str | None, typer.Option(help="With --story: the parameter to find, e.g. beta.")] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --story: a further argument of it, e.g. alpha=1.2 or target=mass."),
    ] = None,
    within: Annotated[str | None, typer.Option(help="With --story: the parameter's range, e.g. 1.05,4.")] = None,
    root: Annotated[int, typer.Option(help="With --story: which solution, where there are several.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write a YAML file that `generate` takes; it must not exist.")
    ] = None,
    pipeline: Annotated[
        str, typer.Option(help="Pipeline of the modalities that have its shape; others use the identity.")
    ] = DEFAULT_PIPELINE,
    rows: Annotated[int, typer.Option(help="Rows in the YAML file.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed in the YAML file.")] = 0,
    form: AsFormat = Format.table,
) -> None:
    """Find a causal model with the wanted information. Prints it, and writes it as YAML if asked.

    Values are met to 1e-9 and checked against the model. What the wish leaves open is chosen, and said; what cannot be
    had is refused, with the reason and the nearest value of the family.

    Closed forms and a search know I(xi;y), I(xi,xj;y), I(xi;xj) and I(xi;xj|y), any of them at once. With --story one
    parameter of a story is found for one quantity of any kind:
    mmmi-hf design --story decaying_modalities --set alpha=1.4 --solve-for beta --want "I(x5;y)=1"
    """
    from mmmi_hf.causal import design as inverse
    from mmmi_hf.causal.quantities import reported_values
    from mmmi_hf.dataset.releases.registry import pipeline_shape

    out = None if out is None else place(out, "out")
    own_shape = pipeline_shape(pipeline)
    shapes = [_shape(text) for text in shape or []]
    chosen: Any = shapes if len(shapes) > 1 else shapes[0] if shapes else own_shape or (1, 32, 32)
    wanted = dict(_assignment(text, "--want", "I(x1;y)=1.0") for text in want)
    if len(wanted) < len(want):
        raise typer.BadParameter("a quantity is wanted twice; give each once", param_hint="--want")
    if story is None:
        if solve_for or fixed or within or root:
            raise typer.BadParameter("--solve-for, --set, --within and --root need --story", param_hint="--story")
        if target is None:
            found = inverse.for_values(chosen, wanted, modalities=modalities)
        else:
            found = inverse.for_target(chosen, wanted, _target(target), modalities=modalities)
    else:
        if target is not None:
            raise typer.BadParameter("a story has no --target; write it into the file", param_hint="--target")
        if solve_for is None:
            raise typer.BadParameter("say which parameter to find, e.g. --solve-for beta", param_hint="--solve-for")
        arguments = dict(_argument(text) for text in fixed or [])
        if modalities is not None:
            arguments["modalities"] = modalities
        ends = None if within is None else _ends(within)
        found = inverse.solve(story, chosen, wanted, parameter=solve_for, within=ends, root=root, **arguments)
    config = _configuration(found, out, pipeline, rows, seed)
    values = reported_values(found.model)
    if out is not None:
        _write(config, out)
    _print(found, values, out, form)


def _print(found: Design, values: dict[str, float], out: Path | None, form: Format) -> None:
    model = found.model
    if form is Format.json:
        record = {
            "family": found.family,
            "wanted": found.wanted,
            "achieved": found.achieved,
            "parameters": found.parameters,
            "others": list(found.others),
            "choices": list(found.choices),
            "causal_model": found.spec,
            "eta": model.eta.tolist(),
            "weights": model.weights.tolist(),
            "mixing": model.mixing.tolist(),
            "quantities": values,
            "file": None if out is None else str(out),
        }
        typer.echo(json.dumps(_finite(record), indent=2))
        return
    shapes = {name: "×".join(map(str, shape)) for name, shape in model.shapes.items()}
    alike = f"{len(shapes)} modalities of {shapes['x1']}" if len(set(shapes.values())) == 1 else ""
    typer.echo(f"{found.family}: {alike or ', '.join(f'{name} {shape}' for name, shape in shapes.items())}\n")
    print_table(
        ("wanted", "nats" if found.model.target is None else "value", "achieved"),
        [(name, f"{value:.9g}", f"{found.achieved[name]:.12g}") for name, value in found.wanted.items()],
        right=(1, 2),
    )
    typer.echo("\nCoefficients\n")
    header, coefficients = _coefficients(model)
    print_table(header, coefficients, right=tuple(range(1, len(header))))
    for line in _templates(found):
        print_text(line, indent="    ")
    typer.echo("\nChosen, where the wanted values leave it open\n")
    for choice in found.choices:
        print_text(f"  - {choice}", indent="    ")
    typer.echo("\nInformation\n")
    few, wanted = len(shapes) <= _FEW, {_plain(name) for name in found.wanted}
    informations = [(name, f"{value:.6f}") for name, value in values.items() if name.startswith("I(")]
    chosen = [row for row in informations if few or _plain(row[0]) in wanted or (";y)" in row[0] and "|" not in row[0])]
    print_table(("quantity", "nats"), chosen, right=(1,))
    if len(chosen) < len(informations):
        typer.echo("\n`--format json` has those of all pairs of modalities, too.")
    if out is not None:
        typer.echo(f"\nWritten to {out}. Make it with:\n\n    mmmi-hf generate {out} --out DIR")
    else:
        typer.echo("\n--out story.yaml writes it for `mmmi-hf generate`.")


def _target(text: str) -> Any:
    """A target in YAML."""
    from mmmi_hf.common.yaml_files import parse

    try:
        return parse(text).data
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not YAML: {error}", param_hint="--target") from error


def _plain(quantity: str) -> str:
    return quantity.replace(" ", "")


def _templates(found: Design) -> list[str]:
    """The templates that the design chose, one line per cause."""
    if found.spec is None or "templates" not in found.spec:
        return []
    lines = []
    for k in range(len(found.spec["eta"])):
        used = {f"x{i + 1}": row[k] for i, row in enumerate(found.spec["templates"]) if row[k] is not None}
        named = ", ".join(
            f"{name} {each if isinstance(each, str) else 'cosine of waves ' + str(each['cosine']['waves'])}"
            for name, each in used.items()
        )
        lines.append(f"templates of ũ{k + 1}: {named or 'none'}")
    return ["", *lines]


def _coefficients(model: CausalModel) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """One row per block: its coefficients on the causes and on the vector sources."""
    causes, sources = model.weights.shape[1], model.mixing.shape[1]
    header = ("", *(f"ũ{k + 1}" for k in range(causes)), *(f"û{j + 1}" for j in range(sources)))

    def row(name: str, *numbers: float) -> tuple[str, ...]:
        return (name, *(f"{number:.6g}" if number else "·" for number in numbers))

    rows = [row("y", *model.eta, *[0.0] * sources)]
    rows += [row(name, *model.weights[i], *model.mixing[i]) for i, name in enumerate(model.modalities)]
    return header, rows


def _configuration(found: Design, out: Path | None, pipeline: str, rows: int, seed: int) -> MMMIConfig:
    from mmmi_hf.dataset.releases.designed import designed
    from mmmi_hf.dataset.releases.registry import family_of

    name = "designed" if out is None else out.stem
    if family_of(name):
        raise typer.BadParameter(f"{name!r} is the name of a released configuration; take another", param_hint="--out")
    wanted = ", ".join(f"{quantity} = {value:g}" for quantity, value in found.wanted.items())
    description = f"Designed for {wanted} (nats), by {found.family}."
    return designed(name, found.model, found.spec, description, pipeline=pipeline, rows=rows, seed=seed)


def _write(config: MMMIConfig, out: Path) -> None:
    """Write the file and read it back: it must give the same model."""
    from mmmi_hf.dataset.releases.configuration import MMMIConfig as Configuration

    if out.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"got {out}, expected a name that ends in .yaml", param_hint="--out")
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(config.to_yaml())
    except FileExistsError:
        raise typer.BadParameter(f"{out} exists already; take another name", param_hint="--out") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            out.unlink(missing_ok=True)
            raise DiskFullError(f"the disk of {out} is full; free some space and run the same again") from error
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from error
    if Configuration.from_yaml(out).digest != config.digest:
        raise ArithmeticError(f"{out} reads back as another model; please report this design")


def _assignment(text: str, option: str, example: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        found = number(value.strip())
    except typer.BadParameter:
        equals, found = "", 0.0
    if not equals or not name.strip():
        raise typer.BadParameter(f'got {text!r}, expected a name and a number such as "{example}"', param_hint=option)
    return name.strip(), found


def _argument(text: str) -> tuple[str, Any]:
    """An argument of a story: a whole number, a number, or a name."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise typer.BadParameter(f'got {text!r}, expected e.g. "alpha=1.2" or "target=mass"', param_hint="--set")
    if name.strip() in _OPTIONS:
        raise typer.BadParameter(f"{name.strip()!r} is given by {_OPTIONS[name.strip()]}", param_hint="--set")
    for kind in (whole, number):
        try:
            return name.strip(), kind(value.strip())
        except typer.BadParameter:
            continue
    return name.strip(), value.strip()


def _finite(value: Any) -> Any:
    """The same in strict JSON: an infinite decay as the text "inf"."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(whole(part) for part in text.replace("x", ",").replace("×", ",").split(","))
    except typer.BadParameter:
        raise typer.BadParameter(
            f"got {text!r}, expected whole numbers such as 1,32,32", param_hint="--shape"
        ) from None


def _ends(text: str) -> tuple[float, float]:
    try:
        low, high = (number(part.strip()) for part in text.split(","))
    except (ValueError, typer.BadParameter):
        raise typer.BadParameter(f"got {text!r}, expected two numbers such as 1.05,4", param_hint="--within") from None
    return low, high
