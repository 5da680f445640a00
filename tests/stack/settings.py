"""Airflow's settings for a short life on one machine; the same names hold from Airflow 3.1 on. Pure."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence

Settings = dict[tuple[str, str], object]


def quick_settings(url: str, task_url: str, log_ports: Sequence[int]) -> Settings:
    """Settings for a small, quick Airflow that keeps to itself."""
    worker_log_port, triggerer_log_port = log_ports
    return {
        ("api", "base_url"): url,
        ("api", "secret_key"): secrets.token_hex(16),
        ("api_auth", "jwt_secret"): secrets.token_hex(32),
        (
            "core",
            "auth_manager",
        ): "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        ("core", "execution_api_server_url"): f"{task_url}/execution/",
        ("core", "executor"): "LocalExecutor",
        ("core", "fernet_key"): base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        ("core", "load_examples"): False,
        ("core", "parallelism"): 8,
        ("core", "simple_auth_manager_all_admins"): False,
        ("core", "simple_auth_manager_users"): "admin:admin",
        ("dag_processor", "parsing_processes"): 1,
        ("dag_processor", "refresh_interval"): 5,
        ("logging", "trigger_log_server_port"): triggerer_log_port,
        ("logging", "triggerer_log_server_port"): triggerer_log_port,  # its name up to Airflow 3.2
        ("logging", "worker_log_server_port"): worker_log_port,
        ("scheduler", "scheduler_idle_sleep_time"): 0.5,
        ("scheduler", "trigger_timeout_check_interval"): 2,
        # A worker may notice this late that its task has ended. A rescheduled task that starts again before
        # that is failed by the scheduler ("reported ... finished ... state attribute is running").
        ("workers", "min_heartbeat_interval"): 1,
    }


def celery_settings(broker_url: str, database_url: str, *, workers: int, slots: int) -> Settings:
    """Settings for workers on Celery, each with so many slots, any of which may be killed.

    What a dead component leaves behind is found within a minute or so, where Airflow takes up to a day.
    A scheduler or triggerer counts as dead after Airflow's own 30 seconds without a heartbeat: with less, a
    slow machine would bury the living.
    """
    return {
        ("core", "executor"): "CeleryExecutor",
        # Of each scheduler. More would wait in the queue, where it looks like a lost message after a while.
        ("core", "parallelism"): workers * slots,
        ("celery", "broker_url"): broker_url,
        ("celery", "result_backend"): f"db+{database_url}",
        ("celery", "worker_concurrency"): slots,
        # As many processes as the machine has processors would ask for states of tasks.
        ("celery", "sync_parallelism"): 1,
        # How long a scheduler tries to hand a task to Redis, how often it does so, and pauses within one try.
        # A try that ends for any other reason than its time fails the task, so nothing else may end it.
        ("celery", "operation_timeout"): 5,
        ("celery", "task_publish_max_retries"): 100,
        ("celery", "extra_celery_config"): json.dumps(
            {
                "task_publish_retry_policy": {
                    "max_retries": 1000,
                    "interval_start": 0,
                    "interval_step": 0.2,
                    "interval_max": 0.5,
                }
            }
        ),
        # Until a message that a killed worker had taken goes to another one (Airflow: a day). A task that
        # runs longer is offered again as well, and the offer ignored, as Airflow knows that it runs.
        ("celery_broker_transport_options", "visibility_timeout"): 45,
        # Until a task counts as lost between a killed scheduler and Redis (Airflow: ten minutes). It is sent
        # again then, as often as need be: a busy cluster may also have let it wait.
        ("scheduler", "task_queued_timeout"): 120,
        ("scheduler", "task_queued_timeout_check_interval"): 10,
        ("scheduler", "num_stuck_in_queued_retries"): 100,
        # Until a running task counts as killed (Airflow: five minutes).
        ("scheduler", "task_instance_heartbeat_timeout"): 45,
        # How often a scheduler looks for tasks of dead ones (Airflow: every five minutes).
        ("scheduler", "orphaned_tasks_check_interval"): 15,
        # How long a task waits for an answer of the API server (Airflow: five seconds). Just started, one may
        # need longer for its first answers while a dozen programs share a machine.
        ("workers", "execution_api_timeout"): 30,
        # DAG files do not change versions here; this saves a process for each worker.
        ("dag_processor", "stale_bundle_cleanup_interval"): 0,
    }


# With more than one component of a kind: so that heartbeats and tasks tell whose they are.
NAMED_COMPONENTS: Settings = {("core", "hostname_callable"): "tests.stack.hostname.of_this_component"}
