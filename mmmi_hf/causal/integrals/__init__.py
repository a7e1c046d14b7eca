"""Integrals with a stated error, and sums over classes: under laws and targets."""
