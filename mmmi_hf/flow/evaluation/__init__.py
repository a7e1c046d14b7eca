"""How good a pipeline is: samples beside real images, round trips, the model card."""
