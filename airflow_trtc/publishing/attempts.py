"""Whether a try of a task starts a relay or an ingest, or continues with the one that an earlier try started.

A robot is a user of the room: the service sends the older of two users of one id out
(tencentcloud.com/document/product/647/48421), and a user who is removed. Where one of these holds for the
robot of a start whose answer was lost, that start leaves nothing running. So what may run is made good by
sending its robot out of the room, and comes again with the start.
"""

from __future__ import annotations

from functools import partial

from airflow_trtc.jobs.attempts import Deed, Fact, Policy, Rule, read_attempt
from airflow_trtc.publishing.started import read_started

_ENDS = " it ends now: its robot {user_id} is sent out of the room"
STREAM_STARTS = Policy(
    key="trtc_stream_start",
    loss="The job runs; a later try of this task would end it and start another one.",
    read=partial(read_attempt, read_answer=read_started),
    rules=(
        Rule(
            Fact.NO_STORE,
            Deed.RESOLVE,
            "Airflow below 3.3 keeps nothing between tries. If an earlier try of this task started this"
            " {kind}," + _ENDS,
        ),
        Rule(
            Fact.UNREADABLE,
            Deed.RESOLVE,
            "What an earlier try left behind cannot be read. If it started this {kind}," + _ENDS,
        ),
        Rule(
            Fact.UNANSWERED,
            Deed.RESOLVE,
            "Try {try_number} sent a start at {sent_at}, and its answer is not known. If that {kind} was"
            " started," + _ENDS,
        ),
        Rule(
            Fact.ANSWERED | Fact.OTHER,
            Deed.STOP,
            "Try {try_number} started {named} with other arguments. Stopping it, and starting what the"
            " arguments say now",
        ),
        Rule(
            Fact.ANSWERED | Fact.FINISHED,
            Deed.STOP,
            "This task had handed on {named} and was cleared since, so a new {kind} is wanted. Stopping the"
            " earlier one",
        ),
        Rule(Fact.ANSWERED, Deed.ASK, "Try {try_number} had started {named}; asking whether it runs"),
    ),
)
