"""Where callbacks arrive: in Airflow's API server, or in a small server of its own before it."""
