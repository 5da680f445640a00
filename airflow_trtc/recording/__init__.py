"""Decides what only recordings have: standard library only, no clock, no I/O."""
