# The API reference is built of docstrings.
python -m tests.reference.build
