"""The tables of all actions say what the code says."""

from __future__ import annotations

from typing import Any

from airflow_trtc.cloud.action import Action
from airflow_trtc.cloud.actions import ACTIONS
from tests.docs.pages import PAGES, table

HEAD = ["What it does", "Effect", "Requires", "Documented limits", "A second", "Regions", "Minimum policy"]
FAMILIES = {
    "Rooms": "rooms",
    "Recordings": "recording",
    "Mixing and relays": "relay",
    "Pictures": "pictures",
    "Stream ingest": "ingest",
    "Web page recordings": "web_recording",
    "Slicing": "slicing",
    "Moderation": "moderation",
    "Moderation of live streams": "live_moderation",
    "Transcription": "transcription",
    "AI transcription": "ai_transcription",
    "AI conversations": "ai_conversation",
    "Speech": "speech",
    "Voice prints": "voice_prints",
    "Hot words": "hot_words",
    "Call quality and history": "quality",
    "Dashboard": "dashboard",
    "Usage": "usage",
}


def row_of(action: Action) -> list[str]:
    """The cells of an action's row, the first one not."""
    choice = " or ".join("+".join(f"`{name}`" for name in each) for each in action.alternatives)
    requires = [f"`{name}`" for name in action.required]
    limits = (f"`{name}` {limit.text}" for name, limit in action.limits.items())
    pace = action.requests_per_second
    where = "the application" if action.is_per_application else "`*`"
    return [
        action.purpose,
        action.effect + (", streams" if action.is_stream else ""),
        ", ".join([*requires, *([choice] if choice else [])]),
        "; ".join(limits) or "-",
        "-" if pace is None else f"{pace:g}" if pace >= 1 else f"1 in {1 / pace:g} s",
        ", ".join(region.removeprefix("ap-") for region in action.regions) or "-",
        f"`{action.permission}` on {where}",
    ]


def table_of(family: str) -> str:
    """A family's table as the page has it."""
    rows = [["Action", *HEAD], ["---"] * (len(HEAD) + 1)]
    rows += [[f"`{one.name}`", *row_of(one)] for one in ACTIONS.values() if one.family == family]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_every_family_has_its_table() -> None:
    assert list(FAMILIES.values()) == list(dict.fromkeys(one.family for one in ACTIONS.values()))


def test_every_action_is_in_the_table_of_its_family_as_the_code_has_it() -> None:
    page = PAGES["actions"]
    for title, family in FAMILIES.items():
        assert table_of(family) in page.section(title), f"\n{table_of(family)}"
        shown = table(page.section(title), "Action")
        assert list(shown) == [one.name for one in ACTIONS.values() if one.family == family]


def test_every_parameter_of_the_operator_is_explained_and_no_other() -> None:
    import inspect

    from airflow_trtc.operators import TrtcApiOperator

    parameters = inspect.signature(TrtcApiOperator.__init__).parameters
    own = [name for name in parameters if name not in ("self", "kwargs")]
    explained = table(PAGES["actions"].section("TrtcApiOperator"), "Parameter")
    assert list(explained) == own
    templated = {name for name, cells in explained.items() if "(templated)" in cells[0]}
    assert templated == set(TrtcApiOperator.template_fields)


def test_what_happens_to_a_create_is_told_for_each_key() -> None:
    keys = {one.name: one.key_param for one in ACTIONS.values() if one.key_param}
    explained = table(PAGES["actions"].section("Calls that create something"), "Action with a key")
    assert {name: cells[0].strip("`") for name, cells in explained.items()} == keys


def test_the_mistakes_are_found_as_told() -> None:
    import pytest

    from airflow_trtc.cloud.parameters import check
    from airflow_trtc.errors import TrtcSetupError
    from tests.cloud.requests import least

    bucket = {"Vendor": 0, "Region": "r", "AccessKey": "a", "SecretKey": "s"}
    changes: dict[str, dict[str, Any]] = {
        "DescribeRoomInfo": {"Roomid": "7"},
        "RemoveUser": {"UserIds": "u"},
        "CreateCloudSliceTask": {"SliceStorageParams": {"CloudSliceStorage": bucket}},
    }
    told = PAGES["actions"].section("What is checked, and when")
    for name, change in changes.items():
        with pytest.raises(TrtcSetupError) as caught:
            check(name, {"SdkAppId": 1, **least(ACTIONS[name]), **change})
        assert f"* `{caught.value.message}`" in told
