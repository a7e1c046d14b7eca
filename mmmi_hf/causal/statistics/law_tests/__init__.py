"""Tests of whether rows follow a declared law: their latents, their targets, which modalities they lack."""
