"""Whether a try of a task starts a recording, or continues with the one that an earlier try started.

A start that may be the second one does no harm: the robot is the same, and the service ends the older
recording of a robot. So what may run in the same room is made good by the start itself.
"""

from __future__ import annotations

from functools import partial

from airflow_trtc.jobs.attempts import Deed, Fact, Policy, Rule, read_attempt
from airflow_trtc.recording.started import read_started

RECORDING_STARTS = Policy(
    key="trtc_recording_start",
    loss="The recording runs; a later try of this task would replace it by another one.",
    read=partial(read_attempt, read_answer=read_started),
    rules=(
        Rule(
            Fact.NO_STORE,
            Deed.START,
            "Airflow below 3.3 keeps nothing between tries. If an earlier try of this task started a"
            " recording, this one replaces it, since the robot {user_id} is the same",
        ),
        Rule(
            Fact.UNREADABLE,
            Deed.RESOLVE,
            "What an earlier try left behind cannot be read. Starting again with the same robot {user_id},"
            " which ends what may run",
        ),
        Rule(
            Fact.UNANSWERED | Fact.OTHER,
            Deed.START,
            "Try {try_number} sent a start with other arguments at {sent_at} (room {room_id}, application"
            " {sdk_app_id}, robot {user_id}), and its answer is not known. Starting what the arguments say"
            " now. If that recording was started, it goes on until its room is empty",
        ),
        Rule(
            Fact.UNANSWERED,
            Deed.RESOLVE,
            "Try {try_number} sent a start at {sent_at}, and its answer is not known. Starting again with the"
            " same robot {user_id}: if that recording was started, the service ends it now",
        ),
        Rule(
            Fact.ANSWERED | Fact.OTHER,
            Deed.START,
            "Try {try_number} started {named} with other arguments (room {room_id}, application {sdk_app_id},"
            " robot {user_id}). Starting what the arguments say now. The earlier recording goes on until its"
            " room is empty; stop it with TrtcStopRecordingOperator if it is not wanted",
        ),
        Rule(
            Fact.ANSWERED | Fact.FINISHED,
            Deed.START,
            "This task had handed on {named} and was cleared since, so a new recording is wanted. If the"
            " earlier one still runs, the service ends it now, since the robot {user_id} is the same",
        ),
        Rule(Fact.ANSWERED, Deed.ASK, "Try {try_number} had started {named}; asking whether it runs"),
    ),
)
