"""Carries a wait: from polls and callbacks to an end."""
