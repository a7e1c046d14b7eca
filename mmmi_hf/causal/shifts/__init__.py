"""Changes of a model whose size in nats is known: interventions on causes; and
rows in which a cause is drawn anew.

A cause that is held, do(ũ_k = a), has its divergence here, and no configuration. Of the modalities the divergence is
finite, of ũ_k itself it is not. Rows under it have latents of another mean, while all laws here, their moments, tests
and pointwise information are about 0; and a y that is made of that cause alone is one number, of which nothing can be
told. A shift that rows can be drawn of is do(ũ_k ~ N(0, τ²)), `shift` in YAML, with τ as small as one likes.

Modalities that rows lack by chance are `CausalModel.with_missing`.

>>> import mmmi_hf
>>> model = mmmi_hf.common_cause((1, 8, 8), mi=1.0)
>>> louder = mmmi_hf.shifts.with_cause_scaled(model, 0, 2.0)  # do(ũ_1 ~ N(0, 4)): a model like any other
>>> round(louder.mutual_information("x1", "y"), 4)
1.6396
>>> round(mmmi_hf.shifts.divergence_of_scale(model, 0, 2.0, ["x1", "x2"]), 4)  # KL(do ‖ observed), nats
0.726
>>> round(mmmi_hf.shifts.divergence_of_value(model, 0, 3.0, ["x1", "x2"]), 4)  # do(ũ_1 = 3), nats
5.0212
>>> round(model.with_missing({"x1": 0.5}).mutual_information("x1", "y"), 4)
0.5
"""

from __future__ import annotations

from mmmi_hf.causal.shifts.interventions import divergence_of_scale, divergence_of_value, with_cause_scaled
from mmmi_hf.causal.shifts.resampling import with_causes_resampled

__all__ = ["divergence_of_scale", "divergence_of_value", "with_cause_scaled", "with_causes_resampled"]
