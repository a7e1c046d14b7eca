"""Estimators: the results that come with the package, and a visitor's own beside them."""
