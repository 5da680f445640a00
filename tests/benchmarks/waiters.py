"""A process full of waiters of one kind: ``python -m tests.benchmarks.waiters``, driven by `Waiters`.

Its first line of input says what to do (`Job`, as JSON). After that each line asks for figures, and the end
of the input ends it. It writes a JSON object a line: that all have started, who noticed or died, figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

TICK_SECONDS = 0.01
REPORT_LOCK = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What a process of waiters does.

    :param kind: one of `KINDS`.
    :param known: what a worker knew of each recording.
    :param poll_seconds: between two polls of one waiter.
    :param place: application and region.
    :param endpoint: host and port of the service.
    :param keys: id and key of the account.
    :param workers: how many calls are under way at once, where no waiters decide that.
    :param per_second: how fast those send together; None for as fast as they can.
    :param begin_at: when those begin to send, Unix seconds; they end at `end_at`.
    :param is_overdue: whether the first poll of each is due already, as after a triggerer's restart.
    :param traced: measure memory with tracemalloc too, which makes everything slower.
    """

    kind: str
    known: list[dict[str, Any]]
    poll_seconds: float
    place: dict[str, Any]
    endpoint: str
    keys: tuple[str, str]
    workers: int = 8
    per_second: float | None = None
    begin_at: float = 0.0
    end_at: float = float("inf")
    is_overdue: bool = False
    traced: bool = False
    starting: list[str] = field(default_factory=list)

    def first_pause(self, number: int) -> float:
        """Seconds until the first poll of a waiter: they were deferred one after the other."""
        return self.poll_seconds * (1 - number / len(self.known))

    def has_started(self, recording_id: str) -> None:
        """Note that a waiter begins to wait; tell when all do."""
        self.starting.append(recording_id)
        if len(self.starting) == len(self.known):
            report(started_at=time.time())


def report(**facts: object) -> None:
    """Tell the parent."""
    with REPORT_LOCK:
        print(json.dumps(facts), flush=True)


async def by_our_trigger(job: Job, number: int) -> None:
    """As the triggerer drives it."""
    from airflow_trtc.triggers import TrtcJobTrigger

    known = job.known[number]
    waited = job.poll_seconds if job.is_overdue else job.poll_seconds - job.first_pause(number)
    trigger = TrtcJobTrigger(
        kind=known.get("kind", "recording"),
        job_id=known["job_id"],
        poke_interval=job.poll_seconds,
        state=known,
        is_recalled=True,
        deferred_at=time.time() - waited,
        **job.place,
    )
    job.has_started(known["job_id"])
    async for event in trigger.run():
        if event.payload["status"] != "finished":
            raise RuntimeError(f"it ended with {event.payload['status']}: {event.payload.get('reason')}")


async def by_plain_trigger(job: Job, number: int) -> None:
    """The least that Airflow's triggers can be."""
    from tests.benchmarks.probes import SleepingTrigger

    trigger = SleepingTrigger(recording_id=job.known[number]["job_id"], seconds=36_000.0)
    job.has_started(trigger.recording_id)
    async for _ in trigger.run():
        pass


async def by_own_client(job: Job, number: int, *, is_tolerant: bool = False) -> None:
    """The pattern of well-known providers: a client and a loop for each trigger."""
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

    recording_id = job.known[number]["job_id"]
    async with sdk_client(job, keep_alive=False) as client:
        job.has_started(recording_id)
        await asyncio.sleep(job.first_pause(number))
        while True:
            try:
                await client.DescribeCloudRecording(describe_request(job, recording_id))
            except TencentCloudSDKException as error:
                if error.code == "ResourceNotFound":
                    return
                if not (is_tolerant and error.code == "RequestLimitExceeded"):
                    raise
            await asyncio.sleep(job.poll_seconds)


async def by_tolerant_client(job: Job, number: int) -> None:
    """The same, with throttling taken for a reason to ask later."""
    await by_own_client(job, number, is_tolerant=True)


async def by_bare_calls(job: Job) -> None:
    """Nothing but calls of the SDK, over one client that keeps its connections; refused ones are ignored."""
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

    async with sdk_client(job, keep_alive=True) as client:
        slots = iter_slots(job)
        report(started_at=time.time())

        async def send() -> None:
            for recording_id, at in slots:
                if (early := at - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                with contextlib.suppress(TencentCloudSDKException):
                    await client.DescribeCloudRecording(describe_request(job, recording_id))

        await asyncio.gather(*(send() for _ in range(job.workers)))


async def by_hooks_in_threads(job: Job) -> None:
    """As sensors in poke mode: each thread asks for its recordings in turn, with a hook of its own."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_poke, args=(job, number, stop), daemon=True) for number in range(job.workers)
    ]
    report(started_at=time.time())
    for thread in threads:
        thread.start()
    try:
        await asyncio.Event().wait()
    finally:
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join, 30.0)


def _poke(job: Job, number: int, stop: threading.Event) -> None:
    from airflow_trtc.hooks import TrtcHook

    mine = [known["job_id"] for known in job.known[number :: job.workers]]
    hook = TrtcHook(**job.place)
    while not stop.wait(job.poll_seconds):
        for recording_id in mine:
            try:
                hook.describe_recording(recording_id)
            except Exception as error:
                report(recording_id=recording_id, at=time.time(), died=f"{type(error).__name__}: {error}")


EACH: dict[str, Callable[[Job, int], Awaitable[None]]] = {
    "ours": by_our_trigger,
    "plain": by_plain_trigger,
    "common": by_own_client,
    "tolerant": by_tolerant_client,
}
ALL: dict[str, Callable[[Job], Awaitable[None]]] = {"bare": by_bare_calls, "hooks": by_hooks_in_threads}


def sdk_client(job: Job, *, keep_alive: bool) -> Any:
    """The official asynchronous client, as its documentation shows it."""
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.trtc.v20190722.trtc_client_async import TrtcClient

    http = HttpProfile(protocol="http", endpoint=job.endpoint, keepAlive=keep_alive)
    return TrtcClient(Credential(*job.keys), job.place["region"], ClientProfile(httpProfile=http))


def describe_request(job: Job, recording_id: str) -> Any:
    """The request of a poll."""
    from tencentcloud.trtc.v20190722.models import DescribeCloudRecordingRequest

    request = DescribeCloudRecordingRequest()
    request.SdkAppId = job.place["sdk_app_id"]
    request.TaskId = recording_id
    return request


def iter_slots(job: Job) -> Any:
    """Who is asked, and from when on; without a pace at once. Ends at the job's end."""
    number = 0
    began_at = time.monotonic() + max(job.begin_at - time.time(), 0.0)
    while time.time() < job.end_at:
        recording_id = job.known[number % len(job.known)]["job_id"]
        yield recording_id, began_at + (number / job.per_second if job.per_second else 0.0)
        number += 1


async def watch_over(job: Job, number: int) -> None:
    """Let one waiter wait, and tell how it went."""
    facts: dict[str, object] = {"recording_id": job.known[number]["job_id"]}
    try:
        await EACH[job.kind](job, number)
    except Exception as error:
        facts["died"] = f"{type(error).__name__}: {error}"
    report(**facts, at=time.time())


class Clockwork:
    """Notices how long the event loop was busy with one thing."""

    def __init__(self) -> None:
        self._longest_seconds = 0.0
        self._is_disturbed = False

    async def run(self) -> None:
        """Sleep a little, again and again: what it overslept, the loop was blocked."""
        while True:
            at = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            if not self._is_disturbed:
                self._longest_seconds = max(self._longest_seconds, time.perf_counter() - at - TICK_SECONDS)
            self._is_disturbed = False

    def read(self) -> float:
        """The longest block since the last reading; measuring, which blocks too, does not count."""
        longest, self._longest_seconds, self._is_disturbed = self._longest_seconds, 0.0, True
        return longest


def figures(clockwork: Clockwork) -> dict[str, float]:
    """What this process has taken."""
    gc.collect()
    memory = psutil.Process().memory_full_info()
    return {
        "cpu_seconds": time.process_time(),
        "rss": memory.rss,
        "uss": memory.uss,
        "traced": tracemalloc.get_traced_memory()[0],
        "longest_block_seconds": clockwork.read(),
    }


async def answer_questions(clockwork: Clockwork) -> None:
    """Return when the parent has nothing more to ask."""
    while await asyncio.to_thread(sys.stdin.readline):
        report(figures=figures(clockwork))


async def work(job: Job) -> None:
    """Wait, and answer, until the parent is done."""
    clockwork = Clockwork()
    if job.kind in ("ours", "plain", "hooks"):
        import airflow_trtc.triggers  # noqa: F401  # the triggerer has it before the first trigger
    report(ready_at=time.time(), figures=figures(clockwork))
    if job.kind in EACH:
        waits = [asyncio.create_task(watch_over(job, number)) for number in range(len(job.known))]
    else:
        waits = [asyncio.create_task(ALL[job.kind](job))]  # type: ignore[arg-type]
    clock = asyncio.create_task(clockwork.run())
    await answer_questions(clockwork)
    for task in [clock, *waits]:
        task.cancel()
    await asyncio.gather(clock, *waits, return_exceptions=True)


if __name__ == "__main__":
    description = Job(**json.loads(sys.stdin.readline()))
    if description.traced:
        tracemalloc.start()
    asyncio.run(work(description))
