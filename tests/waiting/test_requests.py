"""What a trigger asks Airflow for, by Airflow's own protocol."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import pytest
from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    TaskStatesResult,
    XComResult,
    _ResponseFrame,
)

from airflow_trtc._compat import atask_states, axcom_read
from airflow_trtc.hooks import TrtcHook

IDS: dict[str, Any] = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}
PATIENCE_SECONDS = 30.0
ANSWERS = {
    "GetXCom": XComResult(key="k", value=1),
    "GetTaskStates": TaskStatesResult(task_states={"r": {"t": "failed"}}),
    "GetConnection": ConnectionResult.model_validate(
        {
            "conn_id": "elsewhere",
            "conn_type": "trtc",
            "host": None,
            "schema": None,
            "port": None,
            "login": "AKIDexample",
            "password": "secretexample",
            "extra": '{"sdk_app_id": 1400000001, "region": "ap-guangzhou"}',
        }
    ),
}


class Supervisor:
    """Answers a triggerer's requests, each when it may."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.may_answer = threading.Event()
        self.was_asked = threading.Event()

    def serve(self) -> None:
        """Answer until the connection is closed."""
        while head := self._sock.recv(4):
            number, body = msgspec.msgpack.decode(self._sock.recv(int.from_bytes(head, "big")))[:2]
            self.was_asked.set()
            self.may_answer.wait()
            answer = cast("Any", ANSWERS.get(body["type"]))  # none to a secret that is to be masked
            fields = None if answer is None else answer.model_dump(by_alias=True)
            self._sock.sendall(_ResponseFrame(id=number, body=fields).as_bytes())


@contextmanager
def supervised() -> Iterator[tuple[Supervisor, socket.socket]]:
    """A supervisor, and the triggerer's end of the connection to it."""
    own, other = socket.socketpair()
    with own, other:
        supervisor = Supervisor(other)
        thread = threading.Thread(target=supervisor.serve)
        thread.start()
        try:
            yield supervisor, own
        finally:
            supervisor.may_answer.set()
            own.shutdown(socket.SHUT_RDWR)
            thread.join()


async def connect(own: socket.socket) -> TriggerCommsDecoder:
    reader, writer = await asyncio.open_connection(sock=own)
    comms: Any = TriggerCommsDecoder(async_writer=writer, async_reader=reader, socket=own)
    if hasattr(comms, "start_reader"):  # from Airflow 3.2 on
        await comms.start_reader()
    return cast("TriggerCommsDecoder", comms)


async def read_connection() -> object:
    async with TrtcHook("elsewhere") as hook:
        return (await hook.asettings()).sdk_app_id


@pytest.mark.parametrize(
    "ask, answer",
    [
        (lambda: axcom_read("k", IDS), 1),
        (lambda: atask_states(**IDS), ["failed"]),
        (read_connection, 1400000001),
    ],
    ids=["XCom", "states", "connection"],
)
def test_a_trigger_that_is_cancelled_while_it_asks_does_not_mix_up_answers(
    ask: Callable[[], Awaitable[object]], answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below Airflow 3.2 the triggerer would end."""

    async def scene(supervisor: Supervisor, own: socket.socket) -> object:
        comms = await connect(own)
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", comms, raising=False)
        asking = asyncio.ensure_future(ask())
        assert await asyncio.to_thread(supervisor.was_asked.wait, PATIENCE_SECONDS), asking
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        supervisor.may_answer.set()
        return await ask()

    with supervised() as (supervisor, own):
        assert asyncio.run(scene(supervisor, own)) == answer
