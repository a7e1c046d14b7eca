"""Estimators of mutual information: the contract, and one file for each kind."""
