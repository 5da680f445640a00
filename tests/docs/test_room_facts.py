"""The tables of the pages about rooms and relays say what the code says."""

from __future__ import annotations

import re

from airflow_trtc import operators
from airflow_trtc.cloud import rooms as room_calls
from airflow_trtc.jobs.users import BLOCKS, MAX_USERS, MAX_USERS_A_CALL
from airflow_trtc.operators.rooms import IfNoRoom
from airflow_trtc.publishing.sequence import FRESH_MS
from tests.docs.pages import PAGES, table
from tests.docs.test_facts import parameters_of

ROOMS, RELAY = "rooms", "relay"


def templated(explained: dict[str, list[str]]) -> set[str]:
    return {name for name, cells in explained.items() if "templated" in cells[-1]}


def test_every_parameter_of_the_operators_of_rooms_is_explained_and_no_other() -> None:
    text = PAGES[ROOMS].section("Parameters")
    shared, more = table(text, "Parameter"), table(text, "Whom or what")
    for name in ("TrtcDismissRoomOperator", "TrtcRemoveUsersOperator", "TrtcBlockUserOperator"):
        operator = getattr(operators, name)
        own = {parameter: cells for parameter, cells in more.items() if f"`{name}`" in cells[0]}
        assert {*shared, *own} == parameters_of(operator)
        assert templated({**shared, **own}) == set(operator.template_fields)


def test_every_parameter_of_the_operators_of_relays_is_explained_and_no_other() -> None:
    for name in ("TrtcStartRelayOperator", "TrtcUpdateRelayOperator"):
        operator = getattr(operators, name)
        explained = table(PAGES[RELAY].section(name), "Parameter")
        assert set(explained) == parameters_of(operator)
        assert templated(explained) == set(operator.template_fields)
    rows = table(PAGES[RELAY].section("TrtcStopRelayOperator"), "Parameter")
    named = {name.strip("` ") for row in rows for name in row.split(",")}
    assert named == parameters_of(operators.TrtcStopRelayOperator)


def test_every_parameter_of_the_operators_of_ingests_is_named() -> None:
    text = PAGES[RELAY].section("Streams played into a room")
    shared = parameters_of(operators.TrtcStartRelayOperator)
    for name in ("TrtcStartIngestOperator", "TrtcUpdateIngestOperator", "TrtcStopIngestOperator"):
        own = parameters_of(getattr(operators, name)) - shared - {"job", "job_id"}
        assert own <= set(re.findall(r"`(\w+)`", text))


def test_choices_and_limits_of_rooms_are_those_of_the_code() -> None:
    from typing import get_args

    page = PAGES[ROOMS].text
    assert [row.strip('"') for row in table(page, "When nobody is there")] == list(get_args(IfNoRoom))
    blocks = table(page, "Whom or what")["block"][1]
    assert set(re.findall(r'"(\w+)"', blocks)) == set(BLOCKS)
    assert (MAX_USERS_A_CALL, f"{MAX_USERS:,}") == (10, "10,000")
    assert "ten go with each request, 10,000 with a task" in page
    assert FRESH_MS == 30_000
    assert "within the last 30 seconds" in PAGES[RELAY].text


def test_permissions_name_all_actions() -> None:
    verbs = {
        "TrtcDismissRoomOperator": room_calls.dismiss(1, 1),
        "TrtcRemoveUsersOperator": room_calls.remove_users(1, 1, []),
        "TrtcBlockUserOperator": room_calls.block_user(1, 1, "a", 0),
    }
    rows = table(PAGES[ROOMS].section("Permissions"), "Operator")
    assert {name: set(re.findall(r"`(\w+)`", cells[0])) for name, cells in rows.items()} == {
        name: {call.action, f"{call.action}{room_calls.BY_NAME}"} for name, call in verbs.items()
    }
