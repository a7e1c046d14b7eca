"""Shapes that annotations state, checked at run time: by jaxtyping and beartype, in tests alone.

The package names shapes as `Float[torch.Tensor, "n *shape"]`, in annotations that nothing evaluates. `checked`
evaluates those of one function, and `watching` puts checked functions in the place of all that state a shape.
"""

import functools
import importlib
import inspect
import pkgutil
import re
import sys
import types
from contextlib import contextmanager

import jaxtyping
import numpy as np
import torch
from beartype import beartype

SHAPED = re.compile(r"\b(Float|Int|UInt8)\[")
NAMES = {name: getattr(jaxtyping, name) for name in ("Float", "Int", "UInt8")}
NAMES |= {"Array": np.ndarray, "torch": torch, "tuple": tuple, "None": None}


def shaped(function):
    """The annotations of a function that state a shape."""
    found = getattr(function, "__annotations__", {})
    return {name: text for name, text in found.items() if isinstance(text, str) and SHAPED.search(text)}


def checked(function, called=None, **annotations):
    """A function that refuses arguments and results of other shapes than it states, or than `annotations` state."""
    inner = function.__wrapped__ if hasattr(function, "__wrapped__") else function  # what torch.no_grad() has wrapped
    copy = types.FunctionType(inner.__code__, inner.__globals__, inner.__name__, inner.__defaults__, inner.__closure__)
    copy.__kwdefaults__, copy.__qualname__, copy.__module__ = inner.__kwdefaults__, inner.__qualname__, inner.__module__
    stated = shaped(function) | annotations
    copy.__annotations__ = {name: eval(text, dict(NAMES)) for name, text in stated.items()}  # noqa: S307
    strict = jaxtyping.jaxtyped(typechecker=beartype)(copy)

    @functools.wraps(inner)
    def watched(*arguments, **keywords):
        if called is not None:
            called.add(f"{inner.__module__}.{inner.__qualname__}")
        if inner is not function:
            with torch.no_grad():
                return strict(*arguments, **keywords)
        return strict(*arguments, **keywords)

    return watched


def functions_of(package):
    """(owner, name, function) of all functions, methods and properties of a package that state a shape."""
    root = importlib.import_module(package)
    for module in (importlib.import_module(each.name) for each in pkgutil.walk_packages(root.__path__, f"{package}.")):
        owners = [
            kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__
        ]
        for owner in (module, *owners):
            for name, value in list(vars(owner).items()):
                function = value.fget if isinstance(value, property) else value
                if inspect.isfunction(function) and function.__module__ == module.__name__ and shaped(function):
                    yield owner, name, function


@contextmanager
def watching(*packages):
    """Within it, all functions that state a shape are checked; gives their names, and those of the called ones."""
    wanted, called, before = set(), set(), []
    for owner, name, function in [found for package in packages for found in functions_of(package)]:
        wanted.add(f"{function.__module__}.{function.__qualname__}")
        strict = checked(function, called)
        others = [module for key, module in list(sys.modules.items()) if key.startswith("mmmi_hf.")]
        for place in [owner] if inspect.isclass(owner) else others:
            for alias, value in list(vars(place).items()):
                if value is function or (alias == name and isinstance(value, property) and value.fget is function):
                    before.append((place, alias, value))
                    setattr(place, alias, property(strict) if isinstance(value, property) else strict)
    try:
        yield wanted, called
    finally:
        for place, alias, value in reversed(before):
            setattr(place, alias, value)
