"""What tests of several rooms share: where the repository lies."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
