"""Tiers: benchmarks of a fixed size, with data that everybody can make and results to stand beside."""
