"""What every room stands on: files, progress, settings, lazy names. Imports no room."""
