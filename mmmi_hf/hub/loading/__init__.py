"""From a repository or a folder to rows with their truth."""
