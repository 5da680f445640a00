"""One wait for one recording, without I/O: observations and their times in, verdicts and news out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_trtc.recording.judge import Rules, Verdict, describe_news, judge
from airflow_trtc.recording.known import Known, is_news, learn
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

    def take(self, observation: Observation, at: datetime) -> tuple[Verdict, list[str]]:
        """Add a look made at `at`; return where the recording stands and what is new, a sentence each."""
        before, self.known = self.known, learn(self.known, observation, at)
        if is_news(before, self.known):
            self.unsaved = self.untold = True
        self.looks += 1
        self.troubles = self.troubles + 1 if self.known.trouble else 0
        return judge(self.known, self.rules), describe_news(before, self.known, observation)
