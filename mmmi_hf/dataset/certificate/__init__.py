"""The certificate: what was measured on the stored bytes, and what a check of a folder looks at."""
