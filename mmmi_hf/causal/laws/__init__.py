"""Laws: the joint distribution of latents and target, and exact answers about it."""
