"""Which errors end a task for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import NO_CONNECTION, TrtcSetupError
from airflow_trtc.jobs.ref import JobRef


@contextmanager
def no_retry_of_wrong_setup() -> Iterator[None]:
    """Fail a task for good when its set-up is wrong; everything else is left to Airflow's retries.

    :raises AirflowFailException: instead of a :class:`TrtcSetupError`. A connection that Airflow does not
        find may be there at the next try.
    """
    try:
        yield
    except TrtcSetupError as error:
        if error.code == NO_CONNECTION:
            raise
        raise AirflowFailException(str(error)) from None


def cannot_change(job: JobRef) -> AirflowFailException:
    """The error of a change of what is over."""
    return AirflowFailException(
        f"Cannot change {job}: it is over, or the service never knew it. Compare id, application and region"
        " with the task that started it."
    )
