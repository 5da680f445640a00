"""Changing a running recording: all of it, or a reset on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.operators import TrtcModifyRecordingOperator
from tests.operators.running import Task, sent

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

LAYOUT = {"MixLayoutMode": 2}
LISTS = {"SubscribeAudioUserIds": ["a"]}


def modify(task: Task, **options: Any) -> Any:
    given = {"mix_layout": LAYOUT, "subscribe": LISTS, **options}
    return TrtcModifyRecordingOperator(task_id="modify", **given).execute(task.context())


def test_both_are_replaced(service: Emulator, task: Task) -> None:
    recording_id = service.add_recording()
    assert modify(task, recording={"recording_id": recording_id}) == recording_id
    truth = service.truth(recording_id)
    assert (truth["layout"], truth["subscriptions"]) == (LAYOUT, LISTS)


@pytest.mark.parametrize(
    "reset, layout, lists",
    [({"mix_layout": "reset"}, None, LISTS), ({"subscribe": "reset"}, LAYOUT, None)],
)
def test_a_reset_is_said_on_purpose(
    service: Emulator, task: Task, reset: dict[str, str], layout: Any, lists: Any
) -> None:
    recording_id = service.add_recording()
    modify(task, recording_id=recording_id)
    modify(task, recording_id=recording_id, **reset)
    truth = service.truth(recording_id)
    assert (truth["layout"], truth["subscriptions"]) == (layout, lists)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"mix_layout": None}, "mix_layout is missing: .*mix_layout='reset' to reset the layout"),
        ({"subscribe": None}, "subscribe is missing: .*subscribe='reset' to reset whom it records"),
        ({"mix_layout": {}}, "mix_layout lacks MixLayoutMode"),
        ({"subscribe": {"SubscribeAudioUserId": []}}, "did you mean SubscribeAudioUserIds"),
        ({"mix_layout": {"MixLayoutMode": "{{ m }}", "RenderMode": 9}}, "mix_layout.RenderMode must be"),
    ],
)
def test_half_a_change_and_broken_limits_are_refused_when_the_dag_is_parsed(
    wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcModifyRecordingOperator(
            task_id="modify", recording_id="rid", **{"mix_layout": LAYOUT, "subscribe": LISTS, **wrong}
        )


def test_a_template_that_rendered_to_nothing_resets_nothing(service: Emulator, task: Task) -> None:
    operator = TrtcModifyRecordingOperator(
        task_id="modify", recording_id="rid", mix_layout="{{ layout }}", subscribe="reset"
    )
    operator.mix_layout = None
    with pytest.raises(AirflowFailException, match="mix_layout is missing"):
        operator.execute(task.context())
    assert sent(service) == []


def test_a_recording_that_is_over_cannot_be_changed(service: Emulator, task: Task) -> None:
    recording_id = service.add_recording()
    service.end(recording_id)
    with pytest.raises(AirflowFailException, match=r"Cannot change recording .*it is over"):
        modify(task, recording_id=recording_id)


def test_any_other_refusal_may_be_retried(service: Emulator, task: Task) -> None:
    service.fault("error", code="FailedOperation.Odd")
    with pytest.raises(TrtcFailedError, match="Odd"):
        modify(task, recording_id=service.add_recording())
