"""What the information is good for: regression and self-supervised learning."""
