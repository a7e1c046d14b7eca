"""Estimators of mutual information: one file for each kind, found by listing this folder."""
