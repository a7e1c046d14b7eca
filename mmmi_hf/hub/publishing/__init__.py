"""From a folder to a release."""
