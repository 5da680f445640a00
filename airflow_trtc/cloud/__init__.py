"""Knows the vendor: its SDK, its spellings and its errors. Nothing in here knows Airflow."""
