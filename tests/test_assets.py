"""What stands behind trtc:// assets, spelt one way only."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_trtc import assets
from airflow_trtc.assets import FinishedRecordings, SingleEvents, events, finished_recordings, parse_uri
from airflow_trtc.jobs import verdict
from airflow_trtc.jobs.events import NAMED
from airflow_trtc.journal.store import JOURNAL

ASSETS = [
    (finished_recordings(), "trtc_recordings_finished", FinishedRecordings()),
    (finished_recordings("upload"), "trtc_recordings_finished_upload", FinishedRecordings("upload")),
    (
        finished_recordings("vod", 1400000001),
        "trtc_recordings_finished_vod_1400000001",
        FinishedRecordings("vod", 1400000001),
    ),
    (
        finished_recordings(sdk_app_id=1400000001),
        "trtc_recordings_finished_1400000001",
        FinishedRecordings(sdk_app_id=1400000001),
    ),
    (events(102), "trtc_events_102", SingleEvents(102)),
    (events("room_dismissed"), "trtc_events_102", SingleEvents(102)),
    (events("102"), "trtc_events_102", SingleEvents(102)),
    (events(999), "trtc_events_999", SingleEvents(999)),
    (events("relay", 1400000001), "trtc_events_401_1400000001", SingleEvents(401, 1400000001)),
    (events(102, 1400000001), "trtc_events_102_1400000001", SingleEvents(102, 1400000001)),
]


@pytest.mark.parametrize("asset, name, wanted", ASSETS)
def test_an_asset_means_what_it_was_made_for(asset, name, wanted):
    assert asset.name == name
    assert parse_uri(asset.uri) == wanted
    assert assets.uri_of(wanted) == asset.uri


def test_every_asset_is_another_one():
    assert len({asset.uri for asset, _, _ in ASSETS}) == len({asset.name for asset, _, _ in ASSETS}) == 8


@pytest.mark.parametrize(
    "uri, spelling",
    [
        ("trtc://recordings/finished/", "trtc://recordings/finished"),
        ("trtc://recordings/finished?wait_for=recording", "trtc://recordings/finished"),
        (
            "trtc://recordings/finished?wait_for=mp4&sdk_app_id=1400000001",
            "trtc://recordings/finished?sdk_app_id=1400000001&wait_for=mp4",
        ),
        ("trtc://events/0102", "trtc://events/102"),
        ("trtc://events/102?sdk_app_id=01400000001", "trtc://events/102?sdk_app_id=1400000001"),
    ],
)
def test_all_spellings_of_an_asset_become_one(uri, spelling):
    assert assets.sanitize_uri(urlsplit(uri)).geturl() == spelling
    assert assets.sanitize_uri(urlsplit(spelling)).geturl() == spelling


@pytest.mark.parametrize("uri", ["trtc://recordings", "trtc://recordings/", JOURNAL.uri])
def test_the_journal_stays_what_it_is(uri):
    assert parse_uri(uri) is None
    assert assets.sanitize_uri(urlsplit(uri)).geturl() == uri


@pytest.mark.parametrize(
    "uri, hint",
    [
        ("trtc://recordings/ended", "use trtc://recordings/finished"),
        ("trtc://recordings?sdk_app_id=1", "use trtc://recordings/finished"),
        ("trtc://recordings/finished?wait_for=hls", "recording, upload, mp4, vod"),
        ("trtc://recordings/finished?room=1", "unknown parameter room"),
        ("trtc://recordings/finished?sdk_app_id=x", "sdk_app_id must be a number"),
        ("trtc://recordings/finished?sdk_app_id=0", "sdk_app_id must be a number"),
        ("trtc://recordings/finished?sdk_app_id=1&sdk_app_id=2", "given twice"),
        ("trtc://events", "use trtc://recordings/finished"),
        ("trtc://events/room", "use trtc://recordings/finished"),
        ("trtc://events/102?wait_for=mp4", "unknown parameter wait_for"),
        ("trtc://rooms/1", "use trtc://recordings/finished"),
    ],
)
def test_what_nothing_would_emit_is_refused(uri, hint):
    with pytest.raises(ValueError, match="trtc") as refused:
        assets.sanitize_uri(urlsplit(uri))
    assert hint in str(refused.value)


def test_wrong_arguments_are_refused():
    for make in (
        lambda: finished_recordings("hls"),
        lambda: finished_recordings(sdk_app_id=-1),
        lambda: events("room"),
        lambda: events(102, 0),
    ):
        with pytest.raises(ValueError, match="trtc"):
            make()


def test_airflow_can_make_assets_from_arguments():
    assert assets.create_asset(wait_for="upload").uri == finished_recordings("upload").uri
    asset = assets.create_asset(event_type=102, sdk_app_id=14, extra={"team": "video"})
    assert (asset.uri, asset.extra) == (events(102, 14).uri, {"team": "video"})


def test_milestones_are_those_of_the_judge():
    for milestone in verdict.MILESTONES:
        assert parse_uri(finished_recordings(milestone).uri) == FinishedRecordings(milestone)


def test_airflow_asks_the_handler_when_an_asset_is_made(tmp_path: Path):
    """In a process of its own: the installed package has to be known as a provider."""
    from airflow.providers_manager import ProvidersManager

    if "airflow-trtc" not in ProvidersManager().providers:
        pytest.skip("the package is not installed as a provider here")
    from airflow.sdk import Asset

    assert Asset("trtc://recordings/finished?wait_for=recording").uri == "trtc://recordings/finished"
    with pytest.raises(ValueError, match="wait_for is 'hls'"):
        Asset("trtc://recordings/finished?wait_for=hls")


def test_a_uri_may_name_an_event_and_has_one_spelling() -> None:
    from airflow.sdk import Asset

    assert Asset("trtc://events/room_dismissed").uri == events(102).uri == "trtc://events/102"
    assert assets.create_asset(event_type="sentence", sdk_app_id=5) == events(903, 5)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("room_dismised", "did you mean 'room_dismissed'? "),
        ("Room_Dismissed", "use trtc://"),
        ("zzz", "use trtc://"),
    ],
)
def test_a_name_that_no_event_has_is_refused_and_a_near_one_is_offered(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is no asset of Tencent RTC") as refused:
        events(name)
    assert hint in str(refused.value)


def test_every_documented_event_has_an_asset_by_its_name() -> None:
    for name, event in NAMED.items():
        assert events(name).uri == f"trtc://events/{event.type}"
