"""A common scale of several modalities and y, made Gaussian within each modality."""
