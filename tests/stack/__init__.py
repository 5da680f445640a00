"""A real Airflow on this machine for trying the provider out, and a demonstration that runs on it."""
