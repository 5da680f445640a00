"""Decides what is known of a recording: standard library only, no clock, no I/O."""
