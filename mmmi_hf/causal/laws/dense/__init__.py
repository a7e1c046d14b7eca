"""The law of an arbitrary matrix. Imports NumPy and this room only."""
