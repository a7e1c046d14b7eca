"""Figures as pictures inside the page, each drawn once.

Owns the lock around matplotlib, whose settings are of the whole process, and the memory of what was drawn. Draws with
figures/ alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmmi_hf.explorer import html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEPT = 200
_LOCK = threading.Lock()
_DRAWN: OrderedDict[tuple[str, ...], bytes] = OrderedDict()


def shown(make: Callable[[], Figure], alt: str, *key: str) -> str:
    """A figure as HTML.

    Args:
        make: draws it.
        alt: what it shows, in words.
        key: what it depends on; a figure with the same key is not drawn again. Without one nothing is kept.
    """
    with _LOCK:
        found = _DRAWN.pop(key, None) if key else None
        if found is None:
            from mmmi_hf.figures.style import png

            found = png(make(), effort=1)
        if key:
            _DRAWN[key] = found
            while len(_DRAWN) > _KEPT:
                _DRAWN.popitem(last=False)
    return html.picture(found, alt)
