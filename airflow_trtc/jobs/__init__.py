"""Decides what all kinds of jobs share: standard library only, no clock, no I/O."""
