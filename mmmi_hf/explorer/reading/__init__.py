"""Dataset: what a folder or a repository holds, read as any user reads it."""
