"""The Hub: publishing dataset folders and pipelines, and loading them. Uses huggingface_hub and datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.hub.loading.load import Loaded, load
    from mmmi_hf.hub.publishing.publish import publish
    from mmmi_hf.hub.publishing.release import Published

__all__ = ["Loaded", "Published", "load", "publish"]

__getattr__, __dir__ = lazy_names(__name__, __file__)
