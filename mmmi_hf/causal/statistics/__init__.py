"""Statistics of rows under a declared law: lower bounds, confidence limits, tests."""
