"""Which Airflow the tests run on, without importing it: that would write a configuration file."""

from __future__ import annotations

from importlib.metadata import version

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
# From 3.3 on Airflow keeps state with assets: a journal, callbacks, event-driven DAGs by partitions.
HAS_STATE_STORE = AIRFLOW >= (3, 3)
