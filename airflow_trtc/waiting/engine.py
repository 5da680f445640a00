"""What every wait does, step by step, without I/O."""
