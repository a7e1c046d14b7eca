"""An intervention on one cause, with latents standardised by the law that was observed."""
