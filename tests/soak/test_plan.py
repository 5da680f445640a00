from __future__ import annotations

import itertools
import json
import runpy
from collections import Counter

import pytest

from airflow_trtc.emulator import Emulator
from airflow_trtc.emulator.faults import KINDS, Fault
from airflow_trtc.emulator.ledger import trouble_of
from tests.soak import lives, plan
from tests.soak.plan import CALLBACKS, CLEAR, FAULT, KILL, KILL_TASK, SKEW
from tests.versions import HAS_STATE_STORE

HOUR = 3600.0
SEEDS = [1, 7, 2026]


def of(deeds, *whats):
    return [deed for deed in deeds if deed.what in whats]


@pytest.mark.parametrize(
    "make", [lambda seed: plan.deeds(seed, HOUR), lambda seed: lives.lives(seed, HOUR, 50)]
)
def test_the_same_seed_gives_the_same_plan(make):
    assert make(7) == make(7)
    assert make(7) != make(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_hour_has_more_than_a_hundred_kills_and_the_cluster_gets_time_between_them(seed):
    kills = of(plan.deeds(seed, HOUR), KILL, KILL_TASK)
    assert len(kills) >= 110
    pauses = [later.at - deed.at for deed, later in itertools.pairwise(kills)]
    assert plan.KILL_EVERY[0] - 0.1 <= min(pauses)
    assert max(pauses) <= plan.KILL_EVERY[1] + 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_in_an_hour_everything_is_killed_and_twins_together_too(seed):
    kills = of(plan.deeds(seed, HOUR), KILL)
    names = {name for deed in kills for name in deed.whom}
    twins = {f"{name}-2" for name in plan.TWINS}
    assert names == set(plan.DECK) - {KILL_TASK} | twins
    assert any(len(deed.whom) == 2 for deed in kills)
    assert all(1 <= deed.options["down_seconds"] <= 20 for deed in kills)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seconds", [300.0, 600.0, HOUR])
def test_the_last_part_is_quiet(seed, seconds):
    deeds = plan.deeds(seed, seconds)
    end = plan.trouble_ends_at(seconds)
    assert seconds - end >= min(480, seconds / 4)
    assert all(deed.at <= end for deed in deeds)
    assert all(deed.at + deed.options["seconds"] <= end for deed in of(deeds, FAULT))
    last_callbacks, last_skew = (of(deeds, what)[-1] for what in (CALLBACKS, SKEW))
    assert last_callbacks.options == {}
    assert last_skew.options == {"seconds": 0.0}
    assert max(life.at for life in lives.lives(seed, seconds, 200)) < end


@pytest.mark.parametrize("seed", SEEDS)
def test_the_service_misbehaves_in_every_way_it_can_and_the_emulator_takes_all_of_it(seed):
    deeds = plan.deeds(seed, HOUR)
    assert {deed.options["kind"] for deed in of(deeds, FAULT)} == set(KINDS)
    for deed in of(deeds, FAULT):
        Fault(**deed.options)
    for deed in of(deeds, CALLBACKS):
        trouble_of(deed.options)
    assert {name for deed in of(deeds, CALLBACKS) for name in deed.options} == set(plan.CALLBACK_TROUBLES)
    assert all(abs(deed.options["seconds"]) <= plan.MOST_SKEW_SECONDS for deed in of(deeds, SKEW))
    assert of(deeds, CLEAR)


def test_a_plan_can_be_written_down():
    everything: list[plan.Deed | lives.Life] = [*plan.deeds(7, HOUR), *lives.lives(7, HOUR, 400)]
    for each in everything:
        assert json.loads(json.dumps(each.describe())).keys() == each.describe().keys()


@pytest.mark.parametrize("seed", SEEDS)
def test_recordings_are_of_all_kinds_and_lengths(seed):
    made = lives.lives(seed, HOUR, 400)
    kinds = Counter(life.kind for life in made)
    assert kinds == {kind: 4 * count for kind, count in lives.KINDS.items()}
    assert [life.at for life in made] == sorted(life.at for life in made)
    assert {life.dag_id for life in made} == {*lives.WAIT_FOR, None}
    options = [life.options or {} for life in made]
    spans = [each["ends_after_seconds"] for each in options if "ends_after_seconds" in each]
    assert min(spans) < 30
    assert 600 < max(spans) <= 1200
    counts = [each["files"] for each in options if "files" in each]
    assert min(counts) == 0
    assert max(counts) > 150


def lessons():
    """How many of a hundred are recorded by Airflow, by kind."""
    return {kind: count for kind, count in lives.KINDS.items() if kind.startswith(("start and", "room"))}


@pytest.mark.parametrize("seed", SEEDS)
def test_airflow_records_rooms_in_every_way_and_people_meddle_with_some(seed):
    made = [life for life in lives.lives(seed, HOUR, 400) if life.lesson is not None]
    assert Counter(life.kind for life in made) == {kind: 4 * count for kind, count in lessons().items()}
    assert {life.dag_id for life in made} == {lives.START_AND_STOP, lives.ROOM, lives.ROOM_POKED}
    assert len({life.room_id for life in made}) == len(made)
    assert all(life.options is None for life in made)
    planned = [life.lesson for life in made if life.lesson is not None]
    assert {lesson.meddling for lesson in planned} == {None, "clear", "failed", "success"}
    assert any(lesson.is_left_empty for lesson in planned)
    meddled = [lesson for lesson in planned if lesson.meddling]
    assert all(0 < lesson.meddles_after_seconds < lesson.seconds for lesson in meddled)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_recording_that_somebody_waits_for_cannot_end_unseen(seed):
    for life in lives.lives(seed, HOUR, 400):
        if life.dag_id is None or life.options is None or life.kind == "nobody":
            continue
        reads = ("ends_after_reads", "idle_reads")
        is_kept = any(life.options.get(name) == lives.LEAST_READS for name in reads)
        assert is_kept or life.ends_after_seconds is not None


def test_the_emulator_takes_every_recording():
    with Emulator(more_sdk_app_ids=tuple(lives.EVENT_APPS)) as emulator:
        ids = [emulator.add_recording(**life.options) for life in lives.lives(7, HOUR, 400) if life.options]
        assert len(set(ids)) == len(ids) == 400 - 4 * (lives.KINDS["unknown"] + sum(lessons().values()))


def test_the_dags_are_those_of_the_plan():
    source = (lives.__file__).replace("lives.py", "dags/soak.py")
    text = open(source).read()  # noqa: SIM115
    assert f"{lives.FINISHED_APP}, {lives.UPLOADED_APP}" in text


@pytest.mark.skipif(not HAS_STATE_STORE, reason="event-driven DAGs need Airflow 3.3")
def test_airflow_can_read_the_dags_and_there_are_no_others():
    from airflow.sdk import DAG

    names = runpy.run_path(lives.__file__.replace("lives.py", "dags/soak.py"))
    dag_ids = {value.dag_id for value in names.values() if isinstance(value, DAG)}
    assert dag_ids == {*lives.WAIT_FOR, "on_finished", "on_uploaded"}
