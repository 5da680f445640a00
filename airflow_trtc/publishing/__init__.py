"""Decides about streams that leave a room for a CDN (relays) or enter one (ingests)."""
