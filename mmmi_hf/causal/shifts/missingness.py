"""Modalities that are absent by chance, with a flag that says so.

Owns the information of what is left. Imports this room only. Absence is independent of everything, so that flags tell
nothing and I(a; b | c) is the mean over patterns of what the present modalities have; of one modality, (1 - p) I.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

from mmmi_hf.causal.arguments import read_number
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import Blocks, read_query

_MOST = 16


def information_when_missing(
    model: CausalModel, absent: Mapping[str, float], a: Blocks, b: Blocks, given: Blocks = ()
) -> float:
    """I(a; b | given) in nats with flags of which modalities are present.

    Args:
        absent: modality → probability that a row lacks it, independently of the others.
        a, b, given: as in `CausalModel.mutual_information`.

    Raises:
        InvalidModelError: a name or a probability is wrong, or more than 16 modalities of the query may be absent.
    """
    for name, chance in absent.items():
        if name not in model.modalities:
            raise InvalidModelError(f"absent names {name!r}, expected modalities: {', '.join(model.modalities)}")
        if not 0.0 <= read_number(f"absent[{name}]", chance) <= 1.0:
            raise InvalidModelError(f"absent[{name}] is {chance}, expected a probability from 0 to 1")
    query = read_query(a, b, given, dict.fromkeys(model.names))
    unsure = [name for name in query.modalities if absent.get(name, 0.0) > 0.0]
    if len(unsure) > _MOST:
        raise InvalidModelError(f"{len(unsure)} modalities of the query may be absent, expected at most {_MOST}")
    total = []
    for present in product((True, False), repeat=len(unsure)):
        gone = {name for name, here in zip(unsure, present, strict=True) if not here}
        chance = math.prod(
            1.0 - absent[name] if here else absent[name] for name, here in zip(unsure, present, strict=True)
        )
        left = [tuple(name for name in names if name not in gone) for names in (query.first, query.second, query.given)]
        if chance and left[0] and left[1]:
            total.append(chance * model.mutual_information(*left))
    return math.fsum(total)
