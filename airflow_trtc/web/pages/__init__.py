"""Pages in Airflow's UI: what tasks wait for, drawn on the server and kept current in place."""
