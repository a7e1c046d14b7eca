"""Contracts as checks that anybody can run: what a bijection or a law of one's own must fulfil.

Each check raises AssertionError that says what does not hold. Nothing here needs a test runner, and no room imports it.
"""
