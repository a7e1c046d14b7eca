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

GRAPH = (
    "Causal graph: y is made of the common causes ũ, which speak in the images x beside each image's own source û. An "
    "arrow is as wide as its number; the small squares are templates, where in an image a cause speaks."
)
INFORMATION = "Mutual information of every pair, in nats: what knowing one tells of the other."
TEMPLATES = (
    "Templates: where each cause speaks in each image; blue adds, red takes away. Information map: what every single "
    "latent coordinate tells of y."
)
_KEPT = 200
_LOCK = threading.Lock()
_DRAWN: OrderedDict[tuple[str, ...], bytes] = OrderedDict()


def shown(make: Callable[[], Figure], alt: str, caption: str, *key: str) -> str:
    """A figure as HTML.

    Args:
        make: draws it, compact: it is read at the width of a phone, and two stand side by side on a desk.
        alt: what it shows, in words, for who does not see it.
        caption: what it is and how to read it, for who does.
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
    return html.picture(found, alt, caption)
