"""Calls that create something: sent once for each run of a task, whatever happens to its tries.

A lost answer is made good in one of three ways. Where the service knows a job by a key of ours, it starts one
job for each key, and is asked what the key started. Where a second request ends what the first one started,
as that of the same robot does, the same is sent again. Elsewhere nothing does, and the task fails for good,
until somebody has looked and clears it.

Below Airflow 3.3 nothing is kept between tries. Then a key still finds what an earlier try started, and a
request whose answer is lost still fails for good.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_trtc import bounds
from airflow_trtc._compat import AirflowFailException
from airflow_trtc.cloud.action import Action, is_secret
from airflow_trtc.cloud.streams import TASK_EXIST
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcTransientError
from airflow_trtc.jobs.answers import BROKEN_ANSWER
from airflow_trtc.jobs.attempts import Attempt, Deed, Fact, Policy, Rule, Target, read_attempt
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.operators.starting import Starter

KEY_PREFIX = "af-"
_UNKNOWN = (
    "It is not known whether {kind} was carried out, so it is not sent again. {why} Look whether something"
    " was created or started, and stop it if it is not wanted; then clear this task to send it again."
)
_CLEARED = "This task was cleared, so something new is wanted; try {try_number} had created {named}"
CALLS = Policy(
    key="trtc_api_create",
    loss="What was created is there; a later try of this task cannot know it, and fails.",
    read=read_attempt,
    rules=(
        Rule(
            Fact.UNREADABLE,
            Deed.FAIL,
            "What an earlier try of this task kept about {kind} cannot be read; another version of"
            " airflow-trtc wrote it. Look whether something was created, then clear this task to send it.",
        ),
        Rule(
            Fact.UNANSWERED | Fact.REPEATABLE,
            Deed.RESOLVE,
            "Try {try_number} sent {kind} at {sent_at}, and its answer is not known",
        ),
        Rule(Fact.UNANSWERED | Fact.CLEARED, Deed.START),  # somebody looked, and decided so
        Rule(
            Fact.UNANSWERED,
            Deed.FAIL,
            _UNKNOWN.replace("{why}", "Try {try_number} sent it at {sent_at}."),
        ),
        Rule(Fact.ANSWERED | Fact.FINISHED, Deed.START, _CLEARED),
        Rule(Fact.ANSWERED | Fact.CLEARED | Fact.OTHER, Deed.START, _CLEARED),
        Rule(Fact.ANSWERED | Fact.CLEARED | Fact.TOO_BIG, Deed.START, _CLEARED),
        Rule(Fact.ANSWERED, Deed.RETURN, "Try {try_number} had created {named}; nothing is sent again"),
    ),
)


def digest_of(params: Mapping[str, Any]) -> str:
    """What is asked for, as a hash without secrets."""
    asked = json.dumps(_without_secrets(params), sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()


def key_of(row: Action, identity: Mapping[str, Any], generation: int) -> str:
    """The key under which a task's run starts something: the same for each of its tries."""
    named = json.dumps([dict(identity), row.name, generation], sort_keys=True).encode()
    text = base64.b32encode(hashlib.sha256(named).digest()).decode().lower().rstrip("=")
    return (KEY_PREFIX + text)[: min(row.key_bytes, 31)]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(each) for name, each in value.items() if not is_secret(str(name))}
    return [_without_secrets(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(kw_only=True)
class Creator(Starter[dict[str, Any]]):
    """Sends a call that creates something, and returns its answer.

    :param row: the action's row.
    :param params: its parameters; they may hold secrets.
    :param identity: what names the run of the task: dag_id, run_id, task_id, map_index.
    :param replaces: whether a second request ends what the first one started, as that of the same robot does.
    """

    policy: ClassVar[Policy] = CALLS
    row: Action
    params: Mapping[str, Any] = field(repr=False)
    identity: Mapping[str, Any]
    replaces: bool = False

    @property
    def target(self) -> Target:
        """See the base class."""
        settings = self.hook.settings
        return Target(self.row.name, settings.sdk_app_id or 0, settings.region, digest_of(self.params))

    @property
    def remedy(self) -> str:
        """See the base class."""
        if self.row.key_param:
            return "its key is asked for, and the same is sent again if it started nothing"
        return "the same is sent again, which ends what was started" if self.replaces else ""

    def send(self, attempt: Attempt) -> dict[str, Any]:
        """See the base class. An answer that does not say the id is none."""
        answer = self.hook.call(self.row.name, self._with_key(attempt))
        if self.row.id_field and self.id_of(answer) is None:
            raise TrtcTransientError(
                f"The answer does not say the {self.row.id_field} of what was created.",
                action=self.row.name,
                code=BROKEN_ANSWER,
                request_id=bounds.label(answer.get("RequestId"), bounds.LONGEST_ID),
                outcome_unknown=True,
            )
        return answer

    def id_of(self, answer: Mapping[str, Any]) -> str | None:
        """The id of what was created; None if the answer names none, or what is too long to be one."""
        return bounds.job_id(bounds.label(answer.get(self.row.id_field), bounds.LONGEST_ID + 1))

    def made(self, attempt: Attempt, answer: dict[str, Any], *, replaced_unknown: bool) -> dict[str, Any]:
        """See the base class."""
        return answer

    def row_of(self, started: dict[str, Any]) -> Mapping[str, Any]:
        """See the base class."""
        return started

    def again(self, kept: Attempt) -> dict[str, Any]:
        """See the base class."""
        if kept.answer is None:
            raise AirflowFailException(
                f"Try {kept.try_number} carried out {self.row.name} at {kept.sent_at}, and the answer was too"
                " big to keep, so nothing was sent again. Clear this task to call it again."
            )
        return dict(kept.answer)

    def named(self, answer: Mapping[str, Any]) -> str:
        """See the base class."""
        found = self.id_of(answer) if self.row.id_field else None
        return f"{self.row.id_field} {found}" if found else f"what {self.row.name} creates"

    def resolve(self, doubtful: Attempt) -> dict[str, Any] | None:
        """Find what the key started, as the answer that was lost; None when that is nothing."""
        if not (key := self._key(doubtful)):
            return None
        row = self.row
        asked: dict[str, Any] = {**row.find_params, row.key_param: key}
        if row.app_param in self.params:
            asked[row.app_param] = self.params[row.app_param]
        try:
            answer = self.hook.call(row.find_action, asked)
        except TrtcFailedError as error:
            if is_absent(error.code):
                return None
            raise
        found = bounds.job_id(answer.get(row.id_field))
        if found is None:
            raise self._unknown(f"{row.find_action} knows the key {key}, and does not say its id.")
        self.log.info("The key %s had started %s %s; nothing is sent again", key, row.id_field, found)
        return {row.id_field: found, "RequestId": answer.get("RequestId")}

    def leaves_open(self, error: TrtcError, attempt: Attempt, *, is_in_doubt: bool) -> bool:
        """See the base class; what is there already may be what an earlier request with the key started."""
        is_there = error.code == TASK_EXIST and (
            self._is_own_key or (is_in_doubt and bool(self.row.key_param))
        )
        return is_there or super().leaves_open(error, attempt, is_in_doubt=is_in_doubt)

    def refused(self, attempt: Attempt, *, is_in_doubt: bool) -> None:
        """See the base class. A key that was refused may not be used again, says the vendor."""
        if self._is_own_key:
            self.store.save_if_possible(replace(attempt, is_void=True))
        else:  # what a key started was looked for
            super().refused(attempt, is_in_doubt=is_in_doubt and not self.row.key_param)

    def explained(self, error: TrtcError, attempt: Attempt, *, is_open: bool) -> Exception:
        """See the base class."""
        if not is_open:
            return error
        if error.code == TASK_EXIST:
            return AirflowFailException(
                f"{self.row.name} is refused with {TASK_EXIST}: a job of the same room and robot runs"
                f" already, and {self.row.find_action} knows none with the key {self._key(attempt)} of this"
                " task. Stop that job, or give another robot; then clear this task."
            )
        return error if self.remedy else self._unknown(str(error))

    @property
    def _is_own_key(self) -> bool:
        """Whether the service knows such jobs by a key, and the user gave none."""
        return bool(self.row.key_param) and not self.params.get(self.row.key_param)

    def _key(self, attempt: Attempt) -> str:
        """The request's key, if the service has such."""
        if self._is_own_key:
            return key_of(self.row, self.identity, attempt.generation)
        return str(self.params[self.row.key_param]) if self.row.key_param else ""

    def _with_key(self, attempt: Attempt) -> dict[str, Any]:
        key = self._key(attempt)
        return {**self.params, self.row.key_param: key} if key else dict(self.params)

    def _unknown(self, why: str) -> AirflowFailException:
        return AirflowFailException(_UNKNOWN.format(kind=self.row.name, why=why))
