"""Contracts as functions that raise AssertionError, for authors of laws, bijections and estimators. Needs no pytest."""
