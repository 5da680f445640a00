"""Whether the service can be asked at all, as far as its last answers tell. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Hashable

from airflow_trtc.errors import TrtcError, TrtcThrottledError, TrtcTransientError

FAILURES_OF_AN_OUTAGE = 3
REFUSALS_OF_AN_OUTAGE = 20
SILENCE_OF_AN_OUTAGE_SECONDS = 2.0  # many requests are under way at once, and one blip may meet several
SILENCE_OF_ALL_SECONDS = 60.0  # while only one was asked
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0


class Health:
    """Counts answers in a row that taught nothing; enough of them, for long enough, are an outage.

    Errors of the service itself count only when they meet several recordings, or when for long nobody else
    was answered: one may be broken for ever.

    :ivar outage: what is wrong, for people; None when the service answers.
    """

    def __init__(self) -> None:
        self.outage: str | None = None
        self._failures = 0
        self._refusals = 0
        self._whose: Hashable = None  # the last failure was
        self._are_several = False
        self._began_at = 0.0
        self._silent_since: float | None = None
        self._pauses = 0

    def note(self, answer: object, of: Hashable, *, at: float, waiting: int) -> str | None:
        """Take an answer or an error; return what people should know, once for each outage and its end.

        :param of: the recording that was asked about.
        :param at: seconds of any clock that goes on evenly.
        :param waiting: how many recordings are waited for.
        """
        if isinstance(answer, TrtcThrottledError):
            self._refusals += 1
        elif isinstance(answer, TrtcTransientError):
            self._failures += 1
            # An error without the service's own id came from the way there, whoever was asked about.
            self._are_several |= not answer.request_id or self._whose not in (None, of)
            self._whose = of
        else:
            self._failures = self._refusals = 0
            self._whose, self._are_several = None, False
            self._silent_since = None
            return self._end(at, waiting)
        if self._silent_since is None:
            self._silent_since = at
        silent_seconds = at - self._silent_since
        are_all = self._are_several or waiting == 1 or silent_seconds >= SILENCE_OF_ALL_SECONDS
        is_much = self._failures >= FAILURES_OF_AN_OUTAGE and are_all
        is_much = is_much or self._refusals >= REFUSALS_OF_AN_OUTAGE
        if is_much and silent_seconds >= SILENCE_OF_AN_OUTAGE_SECONDS:
            return self._begin(answer, at, waiting)
        return None

    def pause_seconds(self, chance: float) -> float:
        """How long to wait before the next try; longer each time, so ask once for each.

        :param chance: from 0 to 1; keeps processes from trying at the same moment.
        """
        longest = min(FIRST_PAUSE_SECONDS * 2.0**self._pauses, LONGEST_PAUSE_SECONDS)
        self._pauses = min(self._pauses + 1, 10)
        return longest * (0.5 + 0.5 * chance)

    def _begin(self, error: TrtcError, at: float, waiting: int) -> str | None:
        if self.outage is not None:
            return None
        self.outage, self._began_at, self._pauses = error.message, at, 0
        return (
            f"The service cannot be asked just now: {error}\n{waiting} recordings go on waiting; one request"
            f" every {LONGEST_PAUSE_SECONDS:.0f} s or so finds out when it is back."
        )

    def _end(self, at: float, waiting: int) -> str | None:
        if self.outage is None:
            return None
        self.outage = None
        return f"The service answers again after {at - self._began_at:.0f} s; {waiting} recordings wait."
