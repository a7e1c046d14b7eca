"""Kinds of targets, one file each, found by listing; a file defines `KIND`."""
