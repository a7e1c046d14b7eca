"""Where files go: a local folder, or an address of fsspec."""
