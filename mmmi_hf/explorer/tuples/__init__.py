"""Tuples: rows of a model, made here: with other information, with a cause drawn anew, and inverted."""
