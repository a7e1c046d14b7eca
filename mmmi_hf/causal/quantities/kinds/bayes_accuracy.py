"""Bayes accuracy of a class, bayes_accuracy(a;y). Imports this room only."""

from __future__ import annotations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.ceilings import Ceiling
from mmmi_hf.causal.quantities.quantity import Names


class BayesAccuracy(Ceiling):
    """The accuracy of the best guess of the class."""

    word, place = "bayes_accuracy", 8
    example = "bayes_accuracy(x1,x2;y)"
    meaning = "the accuracy of the best guess of the class"
    unit = "share of rows"

    def best(self, model: CausalModel, blocks: Names) -> float:
        """Given modalities."""
        return model.bayes_accuracy(blocks).value

    def applies(self, model: CausalModel) -> bool:
        """Where y is made a class."""
        return model.classes is not None


KIND = BayesAccuracy()
