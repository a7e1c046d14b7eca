"""Design: from sliders to a causal model, its pictures, and how to have it elsewhere. Algebra only."""
