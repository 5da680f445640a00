"""The receiver without Airflow: a spool and a forwarder."""
