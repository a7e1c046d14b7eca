"""Networks of the benchmark: critics, what their scores say, and one training loop."""
