"""The kinds of designs: stories with their coefficients, and wanted values.

Owns which there are, what of them can be moved, and the model, the plain form and the program of each. Imports causal/
and this room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmmi_hf.causal import CausalModel, design, stories
from mmmi_hf.causal.design import Design
from mmmi_hf.explorer.design.controls import Choice, Control, Slider
from mmmi_hf.explorer.surroundings import MOST_MODALITIES

SHAPE = (1, 32, 32)
FILE = "designed.yaml"
_MOST_NATS = 3.0
_TEMPLATES = (("everywhere alike", "ones"), ("a bump in the middle", "gaussian"), ("a disc that fades", "radial_decay"))


@dataclass(frozen=True, eq=False)
class Found:
    """A model, and how to have it again.

    Attributes:
        model: the causal model.
        spec: its plain form, as a configuration's `causal_model`.
        description: one sentence.
        command: what makes the file and the data, on a command line.
        python: a program that makes the model.
        choices: what was chosen where the wishes leave it open.
    """

    model: CausalModel
    spec: Mapping[str, Any]
    description: str
    command: str
    python: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of design.

    Attributes:
        name, label, about: for programs, for a list, and in a sentence or two.
        controls: what can be moved.
        make: from the values of the controls by name.
    """

    name: str
    label: str
    about: str
    controls: tuple[Control, ...]
    make: Callable[[Mapping[str, Any]], Found]

    def read(self, given: Mapping[str, object]) -> dict[str, Any]:
        """The values of the controls. Raises ValueError for the first that cannot be used."""
        return {control.name: control.read(given.get(control.name)) for control in self.controls}


def kinds() -> dict[str, Kind]:
    """All kinds by name, in the order in which they are offered."""
    found = (_wanted(), _common_cause(), _two_telescopes(), _decaying(), _classes(), _synergy())
    return {kind.name: kind for kind in found}


def _nats(quantity: str, start: float, label: str = "") -> Slider:
    return Slider(quantity, f"{label or quantity} in nats", 0.0, _MOST_NATS, start)


def _wanted() -> Kind:
    def make(values: Mapping[str, Any]) -> Found:
        return _designed(design.for_values(SHAPE, values), "for_values", values, "")

    return Kind(
        "wanted",
        "Wanted values",
        "Say how much two images shall know about y and about each other, and get a model that has it.",
        (_nats("I(x1;y)", 1.0), _nats("I(x2;y)", 0.5), _nats("I(x1;x2)", 1.2)),
        make,
    )


def _classes() -> Kind:
    def make(values: Mapping[str, Any]) -> Found:
        wanted = {name: value for name, value in values.items() if name != "classes"}
        target = {"classes": {"quantiles": values["classes"]}}
        found = design.for_target(SHAPE, wanted, target)
        return _designed(found, "for_target", wanted, f', {target!r}|--target "classes: {_yaml(target["classes"])}"')

    accuracy = [Slider(f"bayes_accuracy({x};y)", f"best accuracy from {x}", 0.0, 0.99, at) for x, at in _ACCURACIES]
    return Kind(
        "classes",
        "Classes with a best accuracy",
        "y is a class, and no classifier of an image can be right more often than you say.",
        (Slider("classes", "classes", 2, 20, 4, 1), *accuracy),
        make,
    )


_ACCURACIES = (("x1", 0.8), ("x2", 0.6))


def _synergy() -> Kind:
    def make(values: Mapping[str, Any]) -> Found:
        target = {"parity": {"causes": [0, 1]}}
        found = design.for_target(SHAPE, values, target)
        return _designed(found, "for_target", values, f', {target!r}|--target "parity: {_yaml(target["parity"])}"')

    return Kind(
        "synergy",
        "Synergy",
        "y says whether two causes have the same sign: each image alone tells nothing of it, both together do.",
        (Slider("I(x1,x2;y)", "I(x1,x2;y) in nats", 0.0, 0.8, 0.4),),
        make,
    )


def _common_cause() -> Kind:
    return Kind(
        "common_cause",
        "One common cause",
        "One cause makes y and speaks in every image (eq. 2 of the paper).",
        (
            _nats("mi", 1.0, "I(xi;y) of every image"),
            Slider("modalities", "images", 2, MOST_MODALITIES, 2, 1),
            Choice("template", "where the cause is", _TEMPLATES, "ones"),
        ),
        lambda values: _story("common_cause", values),
    )


def _two_telescopes() -> Kind:
    return Kind(
        "two_telescopes",
        "Two telescopes",
        "A black hole seen by two telescopes, the first through an atmosphere (eq. 10).",
        (
            Choice("target", "y is", (("the mass", "mass"), ("the atmosphere", "atmosphere")), "mass"),
            Slider("rho_tilde_1", "loudness of the mass", 0.0, 3.0, 1.0),
            Slider("rho_tilde_2", "loudness of the atmosphere", 0.0, 3.0, 1.0),
            Choice("mass_templates", "where the mass is", _TEMPLATES, "gaussian"),
            Choice("atmosphere_template", "where the atmosphere is", _TEMPLATES, "radial_decay"),
        ),
        lambda values: _story("two_telescopes", values),
    )


def _decaying() -> Kind:
    return Kind(
        "decaying_modalities",
        "Images that share ever less",
        "Images see the cause of y ever less (β) and each other's sources with distance (α) (eq. 11).",
        (
            Slider("alpha", "α, decay of what neighbours share", 1.05, 4.0, 1.6),
            Slider("beta", "β, decay of the cause of y", 1.0, 4.0, 1.4),
            Slider("rho_tilde", "loudness of the cause", 0.0, 1.0, 0.2),
            Slider("modalities", "images", 2, MOST_MODALITIES, 4, 1),
        ),
        lambda values: _story("decaying_modalities", values),
    )


def _story(name: str, values: Mapping[str, Any]) -> Found:
    """A story with its coefficients."""
    model = getattr(stories, name)(SHAPE, **values)
    arguments = "".join(f", {key}={value!r}" for key, value in values.items())
    said = ", ".join(f"{key} = {value}" for key, value in values.items())
    return Found(
        model,
        {"story": name, "shape": list(SHAPE), **values},
        f"The story {name} with {said}.",
        f"# save the YAML as {FILE} first\nmmmi-hf info {FILE}\nmmmi-hf generate {FILE} --out my-dataset --rows 256",
        f"import mmmi_hf\n\nmodel = mmmi_hf.{name}({SHAPE}{arguments})\n{_ASKED}",
    )


_ASKED = 'print(model.mutual_information("x1", "y"))  # nats'


def _designed(found: Design, function: str, wanted: Mapping[str, float], more: str) -> Found:
    """What inverse design found; `more` is the target, in Python and on the command line."""
    python, _, option = more.partition("|")
    wishes = " ".join(f'--want "{name}={value:.12g}"' for name, value in wanted.items())
    values = {name: float(value) for name, value in wanted.items()}
    said = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    call = f"mmmi_hf.design.{function}({SHAPE}, {values!r}{python})"
    command = " ".join(filter(None, ("mmmi-hf design", wishes, option, f"--out {FILE}")))
    return Found(
        found.model,
        found.spec or {},
        f"Designed for {said}, by {found.family}.",
        f"{command}\nmmmi-hf generate {FILE} --out my-dataset --rows 256",
        f"import mmmi_hf\n\nfound = {call}\nmodel = found.model\n{_ASKED}",
        found.choices,
    )


def _yaml(fields: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"
