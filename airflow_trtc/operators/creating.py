"""Calls that create something: sent once for each run of a task, whatever happens to its tries.

The rows below are all there is to it:

    what is kept of earlier tries                what this try does
    -------------------------------------------  -----------------------------------------------------------
    nothing, or a refusal                        sends
    an answer                                    returns it, and sends nothing
    an answer, and the task was cleared since    sends, if the task had succeeded, its arguments have
                                                 changed, or the answer was too big to keep; else returns it
    an answer that does not say the id           the same as a request without its answer
    a request without its answer, with a key     asks what the key started, and sends the same if nothing is
                                                 there: the service starts one job for each key
    a request without its answer that replaces   sends the same: the service ends what the first one started
    what an earlier one started
    a request without its answer, without a key  fails for good; if the task was cleared since: sends, since
                                                 somebody looked and decided so
    something that cannot be read                fails once for good, and drops it

Below Airflow 3.3 nothing is kept between tries. Then a key still finds what an earlier try started, and a
request whose answer is lost still fails for good.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from airflow_trtc import bounds
from airflow_trtc._compat import AirflowFailException, task_state_store
from airflow_trtc.cloud.action import Action, is_secret
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.answers import BROKEN_ANSWER
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.operators.attempt_store import KeptStore, Tries

VERSION = 1
KEPT_KEY = "trtc_api_create"
MAX_KEPT_BYTES = 16_384
EXISTS = "FailedOperation.TaskExist"
KEY_PREFIX = "af-"
# Between asking what a key started and sending the same again; the vendor's advice for trouble at a start.
PAUSES_SECONDS = (3.0, 6.0, 12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What is kept of a call that creates something.

    :param action: the action.
    :param digest: of what was asked for, without secrets.
    :param max_tries: Airflow's number for the task instance when the request was sent.
    :param try_number: the try that sent the request.
    :param sent_at: when, in ISO 8601.
    :param generation: how often what was asked for had to be asked for under another key.
    :param answer: None until the service answered, or if the answer is too big to keep.
    :param is_answered: whether the service answered.
    :param is_refused: whether it refused, so that nothing was created; or what was created is over, and a
        new one is wanted.
    :param handed_on: whether the task was about to succeed with it.
    """

    action: str
    digest: str
    max_tries: int
    try_number: int
    sent_at: str
    generation: int = 0
    answer: Mapping[str, Any] | None = None
    is_answered: bool = False
    is_refused: bool = False
    handed_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""
        return {
            "v": VERSION,
            "action": self.action,
            "digest": self.digest,
            "max_tries": self.max_tries,
            "try_number": self.try_number,
            "sent_at": self.sent_at,
            "generation": self.generation,
            "answer": None if self.answer is None else dict(self.answer),
            "is_answered": self.is_answered,
            "is_refused": self.is_refused,
            "handed_on": self.handed_on,
        }


def read_creation(value: Any) -> Creation:
    """Read a row of the store.

    :raises ValueError: this version did not write it.
    """
    row = bounds.mapping(value)
    action, digest = bounds.text(row.get("action")), bounds.text(row.get("digest"))
    if row.get("v") != VERSION or action is None or digest is None:
        raise ValueError("it is no row of this version")
    return Creation(
        action=action,
        digest=digest,
        max_tries=bounds.count(row.get("max_tries")),
        try_number=bounds.count(row.get("try_number")),
        sent_at=bounds.text(row.get("sent_at")) or "",
        generation=bounds.count(row.get("generation")),
        answer=bounds.document(row.get("answer"), MAX_KEPT_BYTES),
        is_answered=row.get("is_answered") is True,
        is_refused=row.get("is_refused") is True,
        handed_on=row.get("handed_on") is True,
    )


class CreationStore(KeptStore[Creation]):
    """The row about what a task creates."""

    key = KEPT_KEY
    loss = "What was created is there; a later try of this task cannot know it, and fails."

    def read(self, row: Any) -> Creation:
        """See the base class."""
        return read_creation(row)


def creation_store(context: Mapping[str, Any], log: Any) -> CreationStore:
    """The store of the task instance that runs."""
    return CreationStore(task_state_store(context), log)


class Step(enum.Enum):
    """What a try does, see the table above."""

    SEND = "send"
    RETURN = "return"
    RESOLVE = "resolve"
    FAIL = "fail"


def step_of(kept: Creation | None, digest: str, max_tries: int, *, may_repeat: bool) -> Step:
    """Decide by what is kept.

    :param digest: of what is asked for now.
    :param max_tries: Airflow's number for this task instance now; it is raised when the task is cleared.
    :param may_repeat: whether the service knows repetitions by a key, or ends what the first one started.
    """
    if kept is None or kept.is_refused:
        return Step.SEND
    is_cleared = kept.max_tries != max_tries
    if kept.is_answered:
        is_anew = is_cleared and (kept.handed_on or kept.digest != digest or kept.answer is None)
        return Step.SEND if is_anew else Step.RETURN
    if may_repeat:
        return Step.RESOLVE
    return Step.SEND if is_cleared else Step.FAIL


def renounce(store: CreationStore) -> None:
    """Note that what was created is over and a new one is wanted, though the arguments are the same."""
    try:
        kept = store.load()
    except TrtcTransientError:
        return  # the next step meets the same trouble, and says so
    if isinstance(kept, Creation):
        store.save_if_possible(replace(kept, is_refused=True))


def next_generation(kept: Creation | None) -> int:
    """Under which number to send what is not a repetition of what is kept."""
    return 0 if kept is None else kept.generation + 1


def digest_of(action: str, params: Mapping[str, Any], *place: Any) -> str:
    """What is asked for, as a hash without secrets.

    :param place: application and region.
    """
    asked = json.dumps([action, _without_secrets(params), place], sort_keys=True, default=str)
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


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(kw_only=True)
class Creator:
    """Sends a call that creates something, unless an earlier try of the task did.

    :param row: the action's row.
    :param params: its parameters; they may hold secrets.
    :param identity: what names the run of the task: dag_id, run_id, task_id, map_index.
    :param tries: Airflow's numbers for the task instance.
    :param replaces: whether a second request ends what the first one started, as that of the same robot does.
    :param clock: the time, in UTC.
    :param sleep: waits so many seconds.
    """

    hook: TrtcHook
    row: Action
    params: Mapping[str, Any]
    identity: Mapping[str, Any]
    store: CreationStore
    tries: Tries
    log: Any
    replaces: bool = False
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def create(self) -> dict[str, Any]:
        """Send it and return the answer, or return what an earlier try was answered.

        :raises AirflowFailException: it is not known whether something was created; see the table above.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        kept = self.store.load()
        if isinstance(kept, str):
            self.store.forget()
            raise AirflowFailException(
                f"What an earlier try of this task kept about {self.row.name} cannot be read; another version"
                f" of airflow-trtc wrote it. Look whether something was created, then clear this task to send"
                " it."
            )
        settings = self.hook.settings
        digest = digest_of(self.row.name, self.params, settings.sdk_app_id, settings.region)
        match step_of(kept, digest, self.tries.max_tries, may_repeat=self._may_be_repeated):
            case Step.RETURN if kept is not None:
                return self._kept_answer(kept)
            case Step.FAIL if kept is not None:
                raise self._unknown(f"Try {kept.try_number} sent it at {kept.sent_at}.")
            case Step.RESOLVE if kept is not None:
                self.log.warning(
                    "Try %d sent %s at %s, and its answer is not known",
                    kept.try_number,
                    kept.action,
                    kept.sent_at,
                )
                return self._send(digest, kept.generation, is_repeated=True)
        if kept is not None and kept.answer is not None:
            self.log.info(
                "This task was cleared, so something new is wanted; try %d had created %s",
                kept.try_number,
                self._id_in(kept.answer),
            )
        return self._send(digest, next_generation(kept))

    @property
    def _may_be_repeated(self) -> bool:
        return self.replaces or bool(self.row.key_param)

    def _kept_answer(self, kept: Creation) -> dict[str, Any]:
        if kept.answer is None:
            raise AirflowFailException(
                f"Try {kept.try_number} carried out {kept.action} at {kept.sent_at}, and the answer was too"
                " big to keep, so nothing was sent again. Clear this task to call it again."
            )
        self.log.info(
            "Try %d had created %s; nothing is sent again", kept.try_number, self._id_in(kept.answer)
        )
        return dict(kept.answer)

    def _id_in(self, answer: Mapping[str, Any]) -> str:
        """What was created, for the log."""
        found = self.id_of(answer) if self.row.id_field else None
        return f"{self.row.id_field} {found}" if found else f"what {self.row.name} creates"

    def _send(self, digest: str, generation: int, *, is_repeated: bool = False) -> dict[str, Any]:
        """Send it; with a key ask first what it started when that is not known, and send the same again."""
        params, key = self._with_key(generation)
        for pause in (*PAUSES_SECONDS, None):
            if is_repeated and key and (found := self._find(params, key)) is not None:
                return self._keep(self._intent(digest, generation), found)
            intent = self._intent(digest, generation)
            self.store.save(intent)
            try:
                answer = self._answer(params)
            except TrtcError as error:
                if _is_unknown(error):
                    is_repeated = self._may_repeat(error, key, pause)
                    self.sleep(pause or 0.0)
                    continue
                if not (
                    error.code == EXISTS
                    and key
                    and (is_repeated or key != self.params.get(self.row.key_param))
                ):
                    self._refused(intent, key)
                    raise
                if is_repeated:  # and not found: another job of the same robot may be on its way out
                    self.sleep(pause or 0.0)
                is_repeated = True
                continue
            return self._keep(intent, answer)
        raise AirflowFailException(
            f"{self.row.name} is refused with {EXISTS}: a job of the same room and robot runs already, and"
            f" {self.row.find_action} knows none with the key {key} of this task. Stop that job, or give"
            " another robot; then clear this task."
        )

    def _answer(self, params: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.hook.call(self.row.name, params)
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

    def _with_key(self, generation: int) -> tuple[dict[str, Any], str]:
        """The parameters, with a key if the service has such; and the key."""
        name = self.row.key_param
        if not name:
            return dict(self.params), ""
        given = self.params.get(name)
        key = str(given) if given else key_of(self.row, self.identity, generation)
        return {**self.params, name: key}, key

    def _find(self, params: Mapping[str, Any], key: str) -> dict[str, Any] | None:
        """What was started under a key, as the answer that was lost; None when nothing was."""
        asked: dict[str, Any] = {**self.row.find_params, self.row.key_param: key}
        if self.row.app_param in params:
            asked[self.row.app_param] = params[self.row.app_param]
        try:
            answer = self.hook.call(self.row.find_action, asked)
        except TrtcFailedError as error:
            if is_absent(error.code):
                return None
            raise
        found = bounds.job_id(answer.get(self.row.id_field))
        if found is None:
            raise self._unknown(f"{self.row.find_action} knows the key {key}, and does not say its id.")
        self.log.info("The key %s had started %s %s; nothing is sent again", key, self.row.id_field, found)
        return {self.row.id_field: found, "RequestId": answer.get("RequestId")}

    def _may_repeat(self, error: TrtcError, key: str, pause: float | None) -> bool:
        """True, or raise: not everything may be repeated, and nothing for ever."""
        if not self._may_be_repeated:
            raise self._unknown(str(error)) from None
        if pause is None:
            raise error
        next_step = f"asking by its key {key}" if key else "sending the same, which ends what was started"
        self.log.warning("%s It is not known whether it was carried out; %s", error, next_step)
        return True

    def _refused(self, intent: Creation, key: str) -> None:
        """Nothing was created. A key that was refused may not be used again, says the vendor."""
        if key and not self.params.get(self.row.key_param):
            self.store.save_if_possible(replace(intent, is_refused=True))
        else:
            self.store.forget()

    def _intent(self, digest: str, generation: int) -> Creation:
        return Creation(
            action=self.row.name,
            digest=digest,
            max_tries=self.tries.max_tries,
            try_number=self.tries.number,
            sent_at=self.clock().isoformat(),
            generation=generation,
        )

    def _keep(self, intent: Creation, answer: dict[str, Any]) -> dict[str, Any]:
        small = bounds.document(answer, MAX_KEPT_BYTES)
        self.store.save_if_possible(replace(intent, answer=small, is_answered=True))
        return answer

    def _unknown(self, why: str) -> AirflowFailException:
        return AirflowFailException(
            f"It is not known whether {self.row.name} was carried out, so it is not sent again. {why} Look"
            " whether something was created or started, and stop it if it is not wanted; then clear this task"
            " to send it again."
        )


def _is_unknown(error: TrtcError) -> bool:
    return isinstance(error, TrtcTransientError) and error.outcome_unknown
