"""Quantities of information by name."""
