"""``python -m airflow_trtc.check``: what is missing on this machine, and what to do next."""
