"""The operator that carries out any action of the service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_trtc import bounds
from airflow_trtc._compat import AirflowFailException, has_xcom_backend
from airflow_trtc.arguments import (
    Check,
    is_template,
    name_of,
    required_name,
)
from airflow_trtc.cloud import parameters as checks
from airflow_trtc.cloud.actions import action_of
from airflow_trtc.errors import TrtcError, TrtcSetupError
from airflow_trtc.hooks import TrtcHook, read_app_id
from airflow_trtc.journal.store import task_of
from airflow_trtc.operators.attempt_store import kept_store, tries_of
from airflow_trtc.operators.creating import CALLS, Creator
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.leaves import (
    HoldsSecrets,
    hidden,
    mask,
    read_parameters,
    rendered_later,
    shown,
)
from airflow_trtc.operators.picking import check_path, pick, read_path

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_trtc.cloud.action import Action

MAX_RESULT_BYTES = 1024 * 1024
MAX_STORED_RESULT_BYTES = 64 * MAX_RESULT_BYTES


def _action(name: str, value: Any) -> str:
    """The name of an action.

    :raises ValueError: there is none, or its answer is a stream.
    """
    try:
        row = action_of(value.strip() if isinstance(value, str) else value)
    except TrtcSetupError as error:
        raise ValueError(f"{name}: {error.message.rstrip('.')}") from None
    if row.is_stream:
        raise ValueError(
            f"{name}: {row.name} answers with a stream, which is not supported; use TextToSpeech, or"
            " AsyncTextToSpeech for long texts"
        )
    return row.name


class TrtcApiOperator(HoldsSecrets, BaseOperator):
    """Carry out any action of the service, and return its answer.

    The action's parameters are checked before anything is sent: names, types, what is required, documented
    limits. What can be checked in the DAG file is checked when it is parsed.

    An action that creates something is sent once for each run of the task: a retry returns the answer that an
    earlier try got (Airflow 3.3). When the answer is lost, nothing is sent again blindly: where the service
    knows repetitions by a key (``SessionId``, ``RecordId``), the operator gives one, unless it is given, and
    finds what it started; elsewhere the task fails for good and says so. A task that is cleared sends again.

    :param action: the action, e.g. ``DescribeRoomInfo``. (templated)
    :param parameters: its parameters, with the service's own names; the application is filled in. In texts
        that templates render, numbers and booleans become such where the action wants them. (templated)
    :param result: what of the answer to return, as a path such as ``TaskId``, ``UserList[0].UserId`` or
        ``UserList[*].UserId`` (a list). Default: the whole answer, with its ``RequestId``. (templated)
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: there is no such action, a required parameter is missing, or
        one breaks a documented limit.
    :raises AirflowFailException: the set-up or a parameter is wrong, the path is not in the answer, the
        answer is too big for an XCom, or it is not known whether something was created; no retry would help.
    :raises TrtcError: a retry may help.
    """

    ui_color = "#d7e8ff"
    template_fields: Sequence[str] = (
        "action",
        "parameters",
        "result",
        "sdk_app_id",
        "region",
        "trtc_conn_id",
    )
    secrets: ClassVar[Mapping[str, Any]] = {"parameters": hidden}
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json"}
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
        "sdk_app_id": read_app_id,
        "action": _action,
        "parameters": read_parameters,
        "result": read_path,
    }

    def __init__(
        self,
        *,
        action: str,
        parameters: Mapping[str, Any] | None = None,
        result: str | None = None,
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.parameters = hidden(parameters)
        self.result = result
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id
        self._rendered_later = rendered_later(parameters)
        self.check_arguments()

    def check_all(self) -> None:
        """Check all that can be checked when the DAG is parsed.

        :raises ValueError: one is wrong, or a required parameter is missing.
        """
        super().check_all()
        is_known = not is_template(self.action) and isinstance(self.parameters, Mapping | None)
        if is_known:
            try:
                self._check_early(action_of(self.action), self.parameters or {})
            except TrtcSetupError as error:
                raise ValueError(error.message.rstrip(".")) from None

    def execute(self, context: Context) -> Any:
        """Carry it out; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            # An argument rendered from a template is a text; the hook reads both.
            app_id: Any = self.sdk_app_id
            hook = TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id)
            row = action_of(self.action)
            self._check_result(row)
            params = checks.typed(row.name, shown(self.parameters or {}), self._rendered_later)
            creator = self._creator(context, hook, row, params) if row.effect == "create" else None
            try:
                answer = creator.start() if creator else hook.call(row.name, params)
            except TrtcError as error:
                raise _with_limits(error, row, params) from None
            self.log.info("%s was answered (request %s)", row.name, answer.get("RequestId"))
            value = self._result(answer)
        if creator:
            creator.store.hand_on(creator.tries)
        return value

    def _check_result(self, row: Action) -> None:
        """Find out that a part cannot be in the answer before anything is sent."""
        if self.result:
            try:
                check_path(self.result, checks.answer_types(row.name))
            except LookupError as error:
                message = f"result={self.result!r} cannot be in the answer of {row.name}: {error}."
                raise TrtcSetupError(message, action=row.name) from None

    def _creator(self, context: Context, hook: TrtcHook, row: Action, params: dict[str, Any]) -> Creator:
        return Creator(
            hook=hook,
            row=row,
            params=params,
            identity=task_of(context)._asdict(),
            store=kept_store(CALLS, context, self.log),
            tries=tries_of(context),
            log=self.log,
        )

    def _check_early(self, row: Action, given: Mapping[str, Any]) -> None:
        """What the table of actions tells, without the SDK. A template counts as given."""
        try:
            checks.check_required(row, given, [row.app_param])
        except TrtcSetupError as error:
            if not given and (mistaken := [name for name in row.required if name in dict(self.params)]):
                message = (
                    f"{', '.join(mistaken)} are in params, which are Airflow's own parameters of the DAG;"
                    " give those of the action as parameters"
                )
                raise TrtcSetupError(message) from None
            raise error from None
        checks.check_limits(row, {name: value for name, value in given.items() if not is_template(value)})

    def _result(self, answer: Mapping[str, Any]) -> Any:
        """What becomes the XCom.

        :raises AirflowFailException: the path is not in the answer, or it is too big.
        """
        try:
            value = bounds.plain(pick(answer, self.result) if self.result else dict(answer))
        except LookupError as error:
            raise AirflowFailException(
                f"{self.action} was carried out, and result={self.result!r} is not in its answer: {error}."
                f" Request {answer.get('RequestId')}."
            ) from None
        size = len(json.dumps(value, ensure_ascii=False).encode())
        limit = MAX_STORED_RESULT_BYTES if has_xcom_backend() else MAX_RESULT_BYTES
        if self.do_xcom_push and size > limit:
            raise AirflowFailException(
                f"{self.action} was carried out, and its answer of {size} bytes is too big for an XCom (at"
                f" most {limit}). Take a part of it with result, ask for less at a time (a shorter interval,"
                " smaller pages), or call TrtcHook.call in a @task that writes it elsewhere."
            )
        return value

    def mask(self) -> None:
        """See the base class."""
        mask(self.parameters)


def _with_limits(error: TrtcError, row: Action, params: Mapping[str, Any]) -> TrtcError:
    """The refusal of a parameter, with the documented limits."""
    is_about_limits = (error.code or "").startswith(("InvalidParameter", "LimitExceeded"))
    if is_about_limits and (told := checks.told_limits(row, params)):
        error.message = f"{error.message} {told}"
    return error
