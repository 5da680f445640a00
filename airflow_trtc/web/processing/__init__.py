"""Processes stored callbacks in the API server."""
