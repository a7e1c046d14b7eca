"""Modalities that rows lack by chance, with a flag that says so."""
