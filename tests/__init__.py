"""The tests, in folders as the package has them. Shared helpers are imported by their place: `tests.support`, …."""
