"""Estimators of packages whose pins contradict ours: each runs in an environment of its own, and sees arrays only."""
