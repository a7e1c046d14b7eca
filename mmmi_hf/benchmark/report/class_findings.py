"""What results of classification say: which ways of joining modalities read what these tell of a label.

Owns the rule. A classifier q of inputs x reads I(x; y) - E Σ p ln(p/q) nats of the label, p its true posterior: as much
as the mean of ln q(y)/p(y) is in expectation, without the noise of the labels. Intervals are Student's over seeds, each
of which has rows of its own, and never narrower than the test rows make them; they hold with 95 % for all classifiers
of a table together (Bonferroni). A classifier is named where all of its interval lies on one side of a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmmi_hf.benchmark.protocol.summary import digits
from mmmi_hf.benchmark.report.findings import ERROR
from mmmi_hf.benchmark.report.intervals import over_seeds, written

Record = dict[str, Any]
MOST, LITTLE = 0.75, 0.1
"""Marks, as parts of the information: who reads most of it reads more, who misses it reads less than the second."""
_FEWEST = 3  # seeds


def class_findings(part: str, rows: Sequence[Record]) -> dict[str, list[str]]:
    """Kind of data → sentences about it, in Markdown.

    Args:
        part: the name of the results folder. rows: of its results; of one input, without a true posterior, of nulls and
            of fewer than three seeds nothing is said.
    """
    found: dict[str, list[str]] = {}
    for series in dict.fromkeys(row["series"] for row in rows):
        groups: dict[tuple[str, str], list[Record]] = {}
        for row in rows:
            fused = len(row["inputs"]) > 1 and not row["null"] and row["information"] > 0.0
            if fused and row["series"] == series and row["calibration"] is not None:
                groups.setdefault((row["config"], row["method"]), []).append(row)
        known = {key: cells for key, cells in groups.items() if len(cells) >= _FEWEST}
        reads = {key: read_information(cells, ERROR / len(known)) for key, cells in known.items()}
        told = [
            sentence
            for config in dict.fromkeys(config for config, _ in known)
            for sentence in _of_config(
                config,
                known[next(key for key in known if key[0] == config)][0]["information"],
                {method: read for (name, method), read in reads.items() if name == config},
            )
        ]
        if told:
            told.append(
                "what a classifier reads is I(inputs; y) less the mean of Σ p ln(p/q), p the true posterior; intervals "
                f"are of {min(map(len, known.values()))} seeds, 95 % for all {len(known)} classifiers together."
            )
            found[", ".join([*([part.capitalize()] if part else []), f"classification of y, {series}"])] = told
    return found


def read_information(cells: Sequence[Record], error: float) -> dict[str, float]:
    """Nats that a classifier reads, the mean over seeds with its interval, which misses with the chance `error`."""
    values = [cell["information"] - cell["calibration"] for cell in cells]
    return over_seeds(values, error, [cell["calibration_error"] for cell in cells])


def _of_config(config: str, information: float, reads: dict[str, dict[str, float]]) -> list[str]:
    more = {name: read for name, read in reads.items() if read["low"] > MOST * information}
    some = {name: read for name, read in reads.items() if LITTLE * information < read["low"]}
    some = {name: read for name, read in some.items() if read["high"] < MOST * information}
    less = {name: read for name, read in reads.items() if read["high"] < LITTLE * information}
    said = (
        (more, "more than three quarters"),
        (some, "more than a tenth and less than three quarters"),
        (less, "less than a tenth"),
    )
    return [
        f"`{config}`: of the {digits(information)} nats that all inputs tell, {what} are read by "
        f"{', '.join(map(_by, those.items()))}."
        for those, what in said
        if those
    ]


def _by(each: tuple[str, dict[str, float]]) -> str:
    return f"`{each[0]}` {written(each[1])}"
