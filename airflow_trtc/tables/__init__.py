"""Tables of what the service counts: their columns, how intervals are split, where rows are written."""
