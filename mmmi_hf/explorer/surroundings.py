"""Where the page runs, and how much one request may cost.

Owns the limits. Imports nothing of other rooms.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_ROWS = 8
"""Of one picture of tuples."""
MOST_ROW_NUMBER = 10**9
"""The largest number of a row that can be asked for."""
MOST_MODALITIES = 6
"""Of a design, and of a configuration whose rows are made here: ten modalities take ten times as long as one."""
MOST_CONFIGURATIONS = 500
"""Of a dataset, in the list that one is chosen from."""
MOST_RESULTS_BYTES = 8 * 2**20
"""Of a visitor's own file of results."""
MOST_CELLS = 20_000
"""Rows of such a file."""
MOST_KINDS = 100
"""Kinds of data in such a file: it is a list that one is chosen from."""
MOST_UNPACKED_BYTES = 64 * 2**20
"""Of such a file that is packed."""
LARGEST = 1e9
"""Size of a number in such a file: nats, rows."""
MOST_VISITORS = 200
"""Whose state is kept; of more the one that was seen least recently is forgotten."""
MOST_TEXT = 300
"""Characters of a visitor's text."""


@dataclass(frozen=True)
class Surroundings:
    """Where the page runs.

    Attributes:
        public: strangers use it, as a Space: no path and no address that they write is opened.
        datasets: owner/name or owner/name@revision of datasets that a public page offers.
    """

    public: bool = False
    datasets: tuple[str, ...] = ()
