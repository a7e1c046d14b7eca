"""Released configurations: what a configuration is, how it is read, and which there are."""
