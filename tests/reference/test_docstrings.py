"""What the API reference is made of: every public name is described, with its arguments and errors."""

import inspect
import json
import re
from functools import cached_property

import pytest

import mmmi_hf
from mmmi_hf.causal import targets
from tests.reference.build import PUBLIC, opened


def described(name, function):
    """What a function's docstring leaves out; a method's `self` is no argument."""
    text = inspect.getdoc(function) or ""
    if not text:
        return [f"{name}: no docstring"]
    asked = [each for each in inspect.signature(function).parameters if each not in ("self", "cls")]
    silent = [f"{name}: {each}" for each in asked if not re.search(rf"\b{each}\b", text)]
    if re.search(r"^\s+raise (?!AssertionError)", inspect.getsource(function), re.MULTILINE) and not re.search(
        "[Rr]aise|Error", text
    ):
        silent.append(f"{name}: what it raises")
    return silent


def members(kind):
    """The public functions of a class that are its own."""
    for name, member in vars(kind).items():
        behind = {property: "fget", cached_property: "func"}.get(type(member), "__func__")
        function = getattr(member, behind, member)
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__call__"):
            yield name, function


def described_class(name, kind):
    text = inspect.getdoc(kind) or ""
    if "__doc__" not in vars(kind) or text.startswith(f"{kind.__name__}("):
        return [f"{name}: no docstring"]
    asked = inspect.signature(kind).parameters if "__init__" in vars(kind) else {}
    silent = [f"{name}: {each}" for each in asked if not re.search(rf"\b{each}\b", text)]
    return silent + [line for own, member in members(kind) for line in described(f"{name}.{own}", member)]


def test_public_names_are_described_with_arguments_and_errors():
    silent = []
    for name in mmmi_hf.__all__:
        offered = getattr(mmmi_hf, name)
        if inspect.isclass(offered):
            silent += described_class(name, offered)
        elif inspect.isfunction(offered):
            silent += described(name, offered)
    assert silent == []


@pytest.mark.parametrize("module", PUBLIC)
def test_every_page_of_the_reference_says_what_is_on_it(module):
    module = opened(module)
    assert module.__doc__
    offered = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    assert [name for name, each in offered.items() if callable(each) and not inspect.getdoc(each)] == []


def test_every_kind_of_target_is_described_by_an_example_that_is_read():
    examples = re.findall(r"^- `(\{.*?\})`:", targets.__doc__, re.MULTILINE)
    assert sorted(targets.read(json.loads(each)).kind for each in examples) == sorted(targets.all_kinds())
