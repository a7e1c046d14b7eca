"""`explore`: the page to play with, here or as a Space."""
