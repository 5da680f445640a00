"""One wait for one recording, without I/O: looks, callbacks and their times in, verdicts and news out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_trtc.recording.callback import Callback
from airflow_trtc.recording.judge import Rules, Verdict, describe_news, judge
from airflow_trtc.recording.known import Known, combine, is_news, learn
from airflow_trtc.recording.model import Observation


@dataclass
class Watch:
    """What one waiter holds in memory.

    :ivar known: what is known of the recording.
    :ivar unsaved: is there anything that the journal does not hold yet?
    :ivar untold: is there anything that the task's XComs do not show yet?
    :ivar looks: looks of this waiter alone; those in `known` are everybody's.
    :ivar troubles: looks in a row that taught nothing.
    """

    known: Known
    rules: Rules
    unsaved: bool = False
    untold: bool = True
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

    def join(self, other: Known) -> None:
        """Add what somebody else knows."""
        joined = combine(self.known, other)
        if is_news(self.known, joined):
            self.untold = True
        self.known = joined

    def judge(self, at: datetime) -> Verdict:
        """Say where the recording stands at the present time."""
        return judge(self.known, self.rules, at)
