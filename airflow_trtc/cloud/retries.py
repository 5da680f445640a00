"""Which failed call may be repeated, and when.

The SDK's own retryer is never used: it repeats calls that succeeded (tencentcloud-sdk-python 3.1.195,
``common/retry.py``), which would start a recording several times.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_trtc.cloud.action import Effect
from airflow_trtc.errors import TrtcFailedError, TrtcThrottledError, TrtcTransientError

DEFAULT_ATTEMPTS = 4
MAX_WAIT_SECONDS = 8.0
MAX_TOTAL_WAIT_SECONDS = 20.0
# A throttled call was not carried out, and may succeed within seconds, when other callers send less.
MAX_TOTAL_THROTTLED_SECONDS = 600.0


def may_repeat(effect: Effect, error: BaseException) -> bool:
    """Whether sending the same call again is both harmless and possibly of use.

    A throttled call was not carried out. After trouble on the way, reading, stopping and overwriting may
    be repeated; anything else only when the request certainly never reached the service.
    """
    if isinstance(error, TrtcThrottledError):
        return True
    if not isinstance(error, TrtcTransientError):
        return False
    return effect != "create" or not error.outcome_unknown


def retrying(effect: Effect, attempts: int | None, sleep: Callable[[float], None]) -> Any:
    """A ``tenacity.Retrying`` that raises the last error itself.

    :param attempts: at most so many; 1 never repeats. None is `DEFAULT_ATTEMPTS`, and throttled ones, which
        do not count then, are repeated for ten minutes.
    """
    from tenacity import Retrying

    return Retrying(sleep=sleep, **_rules(effect, attempts))


def aretrying(effect: Effect, attempts: int | None, sleep: Callable[[float], Awaitable[None]]) -> Any:
    """The same for coroutines."""
    from tenacity import AsyncRetrying

    return AsyncRetrying(sleep=sleep, **_rules(effect, attempts))


def _rules(effect: Effect, attempts: int | None) -> dict[str, Any]:
    from tenacity import retry_if_exception

    most = DEFAULT_ATTEMPTS if attempts is None else attempts
    throttled_seconds = other_seconds = 0.0
    others = 0
    is_unknown = False

    def repeats(error: BaseException) -> bool:
        nonlocal is_unknown
        if isinstance(error, TrtcFailedError):
            error.follows_unknown = is_unknown
        is_unknown |= isinstance(error, TrtcTransientError) and error.outcome_unknown
        return may_repeat(effect, error)

    def stop(state: Any) -> bool:
        nonlocal throttled_seconds, other_seconds, others
        seconds: float = state.upcoming_sleep
        if attempts is None and _is_throttled(state):
            throttled_seconds += seconds
            return throttled_seconds > MAX_TOTAL_THROTTLED_SECONDS
        others += 1
        other_seconds += seconds
        return others >= most or other_seconds > MAX_TOTAL_WAIT_SECONDS

    return {
        "retry": retry_if_exception(repeats),
        "stop": stop,
        "wait": _wait,
        "reraise": True,
    }


def _wait(state: Any) -> float:
    """Half fixed, half random, doubling from 0.5 s; a throttled call waits for the next second at least."""
    longest = min(MAX_WAIT_SECONDS, 2.0 ** min(state.attempt_number - 1, 10))
    seconds = random.uniform(longest / 2, longest)
    return seconds + 1.0 if _is_throttled(state) else seconds


def _is_throttled(state: Any) -> bool:
    return isinstance(state.outcome.exception(), TrtcThrottledError)
