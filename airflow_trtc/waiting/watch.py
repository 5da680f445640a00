"""One wait for one recording, without I/O: looks, callbacks and their times in, verdicts and news out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from airflow_trtc.jobs.callback import Callback
from airflow_trtc.jobs.observation import Observation
from airflow_trtc.jobs.state import JobState, combine, is_news, learn
from airflow_trtc.jobs.verdict import Finished, Rules, Verdict, describe_news
from airflow_trtc.recording.judge import judge


@dataclass
class Watch:
    """What one waiter holds in memory.

    :ivar known: what is known of the recording.
    :ivar unsaved: is there anything that the journal does not hold yet?
    :ivar untold: is there anything that the task's XComs do not show yet?
    :ivar is_announced: does the API server know of the end, as far as looks found it out?
    :ivar looks: looks of this waiter alone; those in `known` are everybody's.
    :ivar troubles: looks in a row that taught nothing.
    """

    known: JobState
    rules: Rules
    unsaved: bool = False
    untold: bool = True
    is_announced: bool = False
    looks: int = 0
    troubles: int = 0

    def take(self, observation: Observation, at: datetime) -> list[str]:
        """Add a look made at `at`, or a callback received then; return what is new, a sentence each."""
        before, self.known = self.known, learn(self.known, observation, at)
        if is_news(before, self.known):
            self.untold = True
            # What callbacks tell is in the journal before anybody learns it from there.
            self.unsaved = self.unsaved or not isinstance(observation, Callback)
        if not isinstance(observation, Callback):
            self.looks += 1
            self.troubles = self.troubles + 1 if self.known.trouble else 0
        return describe_news(before, self.known, observation)

    def join(self, other: JobState) -> None:
        """Add what somebody else knows."""
        joined = combine(self.known, other)
        if is_news(self.known, joined):
            self.untold = True
        self.known = joined

    def end_to_announce(self, at: datetime) -> Finished | None:
        """The end of the recording, if looks found it out and nobody was told yet.

        Callbacks reach the API server by themselves. Whatever else is waited for, this is the end.
        """
        if self.is_announced:
            return None
        end = judge(self.known, replace(self.rules, wait_for="recording", fail_on=frozenset()), at)
        return end if isinstance(end, Finished) and end.outcome in ("exited", "gone") else None

    def judge(self, at: datetime) -> Verdict:
        """Say where the recording stands at the present time."""
        return judge(self.known, self.rules, at)
