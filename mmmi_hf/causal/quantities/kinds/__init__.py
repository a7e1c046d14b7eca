"""Kinds of quantities, one file each. Imports this room only."""
