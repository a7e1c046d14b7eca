"""One file per family, found by listing this folder: `family()` makes it. Names, seeds and coefficients are theirs.

A name keeps its meaning: a configuration that turns out wrong is superseded under a new version and listed under
Corrections, never changed in silence.
"""
