"""The law of common causes and vector sources through templates. Imports NumPy and this room only."""
