"""The format of a dataset folder: where everything lies, and how each file is written and read."""
