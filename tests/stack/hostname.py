"""Lets several of one kind of Airflow's programs on one machine look like several machines.

Airflow calls `of_this_component` for the name of the machine; it notes it with heartbeats and tasks.
"""

from __future__ import annotations

import os
import socket

# Set for each component when it is started.
VARIABLE = "LOCAL_AIRFLOW_HOSTNAME"


def of_this_component() -> str:
    """The name given to this component, else that of the machine."""
    return os.environ.get(VARIABLE) or socket.gethostname()
