"""Generation: from a range of rows to stored files."""
