"""Tables from what the service counts: what is in a row, how an interval is split, and where rows are written."""
