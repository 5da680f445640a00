"""Keeps the state of jobs, and gives waits its changes."""
