"""What can be moved of a design, and the reading of what a visitor moved it to.

Owns the bounds of every control; the page checks them in the browser, and whoever calls past the page is checked here.
Imports the standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_WRITTEN = 1e300
"""Larger whole numbers are no floats."""


@dataclass(frozen=True)
class Slider:
    """A number.

    Attributes:
        name: the argument, or the wanted quantity.
        label: what people call it.
        low, high: its range. start: where it stands first.
        step: between its places; whole numbers where it is 1.
    """

    name: str
    label: str
    low: float
    high: float
    start: float
    step: float = 0.01

    def read(self, given: object) -> float | int:
        """The number that was given.

        Raises:
            ValueError: none, or one outside the range.
        """
        nothing = isinstance(given, float) and not math.isfinite(given)
        if isinstance(given, bool) or not isinstance(given, int | float) or nothing:
            raise ValueError(f"{self.label} is empty or no number; give one from {self.low:g} to {self.high:g}")
        if not self.low <= given <= self.high:
            said = f"{given:g}" if abs(given) < _WRITTEN else "out of reach"
            raise ValueError(f"{self.label} is {said}; give a number from {self.low:g} to {self.high:g}")
        if self.step != 1:
            return float(given)
        if given != int(given):
            raise ValueError(f"{self.label} is {given:g}; give a whole number")
        return int(given)


@dataclass(frozen=True)
class Choice:
    """One of several words: `options` by what people call them."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    start: str

    def read(self, given: object) -> str:
        """The word that was given. Raises ValueError where it is none of the options."""
        words = [word for _, word in self.options]
        if given not in words:
            raise ValueError(f"{self.label} must be one of {', '.join(words)}")
        return str(given)


Control = Slider | Choice
