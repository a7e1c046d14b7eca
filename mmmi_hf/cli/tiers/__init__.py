"""`benchmark --tier`: benchmarks of a fixed size."""
