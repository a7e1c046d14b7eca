"""What a benchmark leaves: tables, plots, the card."""
