"""Which pipelines make the released data: their names alone, so that who only reads data sets loads none of them."""

from __future__ import annotations

DEFAULT_PIPELINE = "fashion-mnist-2"
CIFAR10_PIPELINE = "cifar10"
SOUND_PIPELINE = "instruments"
