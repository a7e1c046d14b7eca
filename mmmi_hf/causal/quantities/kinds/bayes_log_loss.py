"""Bayes log loss of a class, bayes_log_loss(a;y). Imports this room only."""

from __future__ import annotations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.ceilings import Ceiling
from mmmi_hf.causal.quantities.quantity import Names


class BayesLogLoss(Ceiling):
    """The least log loss of any prediction of the class."""

    word, place = "bayes_log_loss", 9
    example = "bayes_log_loss(x1,x2;y)"
    meaning = "the least log loss of any prediction of the class"

    def best(self, model: CausalModel, blocks: Names) -> float:
        """Given modalities."""
        return model.bayes_log_loss(blocks).value

    def applies(self, model: CausalModel) -> bool:
        """Where y is made a class."""
        return model.classes is not None


KIND = BayesLogLoss()
