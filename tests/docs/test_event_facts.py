"""The tables about callbacks say what the code says."""

from __future__ import annotations

import re

from airflow_trtc.jobs.events import EVENTS, FAMILIES, NAMED
from airflow_trtc.kinds import KINDS
from airflow_trtc.results import RECORD_FIELDS
from tests.docs.pages import PAGES, table

CALLBACKS = PAGES["callbacks"]


def test_every_event_is_listed_by_its_name() -> None:
    listed = table(PAGES["event-driven"].section("Names of events"), "Name")
    assert {name: int(cells[0]) for name, cells in listed.items()} == {
        name: event.type for name, event in NAMED.items()
    }
    assert all(cells[1] for cells in listed.values())
    assert all({kind // 100, 8} >= event.groups for kind, event in EVENTS.items())


def test_every_kind_of_job_is_listed_with_what_its_callbacks_say() -> None:
    listed = table(CALLBACKS.section("Jobs of other kinds"), "Job")
    assert set(listed) == set(KINDS)
    for name, (groups, end, brings) in listed.items():
        assert groups == (", ".join(map(str, sorted(KINDS[name].groups))) or "none")
        own = [event for event in EVENTS.values() if event.groups & KINDS[name].groups]
        if name != "recording":  # its other ends only follow the one that is named
            named = {int(number) for number in re.findall(r"\b\d{3,4}\b", end)}
            assert named == {event.type for event in own if event.ends}
        records = {event.type for event in own if event.record}
        assert all(str(kind) in brings for kind in records)
    assert {FAMILIES[group] for kind in KINDS.values() for group in kind.groups} == set(FAMILIES.values())


def test_every_state_of_a_relay_is_explained() -> None:
    states = "".join(table(CALLBACKS.section("Relays"), "The last states of an address"))
    assert all(str(code) in states for code in EVENTS[401].codes)


def test_every_code_that_is_a_problem_is_listed_with_it() -> None:
    listed = table(CALLBACKS.section("Problems"), "Kind")
    for event in EVENTS.values():
        for fault in event.faults.values():
            assert str(event.type) in listed[fault.kind][1], (event.type, fault.kind)


def test_every_field_of_a_record_is_explained() -> None:
    section = PAGES["results"].section("What jobs hand on")
    assert list(table(section, "Of a record")) == ["at", *RECORD_FIELDS]
    assert set(table(section, "Field")) == {"files", "records", "records_left_out"}
