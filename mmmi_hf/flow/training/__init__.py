"""Training a pipeline: data, recipe, loop. The part of flow/ that may import datasets and accelerate."""
