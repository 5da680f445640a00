"""Takes callbacks in: one request in, one answer out."""
