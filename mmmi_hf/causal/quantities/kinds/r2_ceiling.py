"""R² ceiling of a number, of several numbers their mean, r2_ceiling(a;y). Imports this room only."""

from __future__ import annotations

from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities.ceilings import Ceiling
from mmmi_hf.causal.quantities.quantity import Names


class R2Ceiling(Ceiling):
    """The greatest R² of any predictor of y."""

    word, place = "r2_ceiling", 10
    example = "r2_ceiling(x1,x2;y)"
    meaning = "the greatest R² of any predictor of y"
    unit = "share of the variance"

    def best(self, model: CausalModel, blocks: Names) -> float:
        """Given modalities."""
        return model.r2_ceiling(blocks).value

    def applies(self, model: CausalModel) -> bool:
        """Where y is made of numbers other than the Gaussian one, whose R² is 1 - e^(-2 I)."""
        return model.classes is None and not model.law.is_gaussian


KIND = R2Ceiling()
