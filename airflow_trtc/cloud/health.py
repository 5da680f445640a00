"""Whether an action can be called at all, as far as its last answers show. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Hashable

from airflow_trtc.errors import TrtcError, TrtcThrottledError, TrtcTransientError

FAILURES_OF_AN_OUTAGE = 3
REFUSALS_OF_AN_OUTAGE = 20
SILENCE_OF_AN_OUTAGE_SECONDS = 2.0  # many requests are under way at once, and one blip may meet several
SILENCE_OF_ALL_SECONDS = 60.0  # while only one job was asked about
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 15.0


class Health:
    """Counts answers in a row that taught nothing; enough of them, for long enough, are an outage.

    Errors of the service itself count only when they meet several jobs, or when for long no other
    was answered: one may be broken for ever.

    :ivar outage: what is wrong, for users; None when the service answers.
    """

    def __init__(
        self,
        *,
        silence_seconds: float = SILENCE_OF_AN_OUTAGE_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        max_pause_seconds: float = MAX_PAUSE_SECONDS,
    ) -> None:
        self.outage: str | None = None
        self._silence_seconds = silence_seconds
        self._first_pause_seconds = first_pause_seconds
        self._max_pause_seconds = max_pause_seconds
        self._failures = 0
        self._refusals = 0
        self._last_failed: Hashable = None
        self._are_several = False
        self._began_at = 0.0
        self._silent_since: float | None = None
        self._pauses = 0

    def note(self, answer: object, of: Hashable, *, at: float, waiting: int) -> str | None:
        """Take an answer or an error; return what to log, once for each outage and its end.

        :param of: the job that was asked about.
        :param at: seconds of any clock that is never set back.
        :param waiting: how many jobs are waited for.
        """
        if isinstance(answer, TrtcThrottledError):
            self._refusals += 1
        elif isinstance(answer, TrtcTransientError):
            self._failures += 1
            # An error without the service's own id came from the way there, whatever was asked about.
            self._are_several |= not answer.request_id or self._last_failed not in (None, of)
            self._last_failed = of
        else:
            self._failures = self._refusals = 0
            self._last_failed, self._are_several = None, False
            self._silent_since = None
            return self._end(at, waiting)
        if self._silent_since is None:
            self._silent_since = at
        silent_seconds = at - self._silent_since
        are_all = self._are_several or waiting == 1 or silent_seconds >= SILENCE_OF_ALL_SECONDS
        is_much = self._failures >= FAILURES_OF_AN_OUTAGE and are_all
        is_much = is_much or self._refusals >= REFUSALS_OF_AN_OUTAGE
        if is_much and silent_seconds >= self._silence_seconds:
            return self._begin(answer, at, waiting)
        return None

    def pause_seconds(self, chance: float) -> float:
        """How long to wait before the next try; longer each time, so ask once for each.

        :param chance: from 0 to 1; keeps processes from trying at the same moment.
        """
        longest = min(self._first_pause_seconds * 2.0**self._pauses, self._max_pause_seconds)
        self._pauses = min(self._pauses + 1, 10)
        return longest * (0.5 + 0.5 * chance)

    def _begin(self, error: TrtcError, at: float, waiting: int) -> str | None:
        if self.outage is not None:
            return None
        self.outage, self._began_at, self._pauses = error.message, at, 0
        return (
            f"The service does not answer: {error}\n{waiting} jobs keep waiting; one request about every"
            f" {self._max_pause_seconds:.0f} s checks whether it is back."
        )

    def _end(self, at: float, waiting: int) -> str | None:
        if self.outage is None:
            return None
        self.outage = None
        return f"The service answers again after {at - self._began_at:.0f} s; {waiting} jobs wait."
