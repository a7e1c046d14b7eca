"""The protocol: what is measured on which rows, each cell once, and its summary."""
