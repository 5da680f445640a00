import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from tests.benchmarks import fares, schedule, triggerer, waiting
from tests.benchmarks.callback_latency import Result, table
from tests.benchmarks.driving import Noticed
from tests.benchmarks.emulation import GONE, THROTTLED, Call, Calls
from tests.benchmarks.fares import Fare
from tests.benchmarks.plot import Line, Row, lines, plot
from tests.benchmarks.report import percentile, ratio, share, span, spread
from tests.benchmarks.report import table as markdown
from tests.benchmarks.shared_account import rates
from tests.benchmarks.waiter_memory import slopes

SVG = "{http://www.w3.org/2000/svg}"
PARTS = ("triggerer", "api-server")
NAMES = [f"recording {number}" for number in range(100)]


def test_the_picture_has_a_dot_for_each_duration_inside_its_frame() -> None:
    rows = [Row("callbacks, 10 <tasks>", [0.02, 0.7, 1.1]), Row("polling", [49.0, 300.0])]
    picture = ElementTree.fromstring(plot("How soon", rows))
    dots = picture.findall(f"{SVG}circle")
    assert len(dots) == 5
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert all(0 < float(dot.attrib["cx"]) < width for dot in dots)
    assert all(0 < float(dot.attrib["cy"]) < height for dot in dots)
    assert "callbacks, 10 <tasks>" in [text.text for text in picture.findall(f"{SVG}text")]


def test_the_table_tells_median_percentile_and_longest() -> None:
    loads = dict.fromkeys(PARTS, 0.25)
    result = Result("polling", 10, shown=[1.0], scheduled=[3.0, 1.0, 2.0], idle=loads, busy=loads)
    assert "| polling | 10 | 1.00 / 1.00 / 1.00 | 2.00 / 3.00 / 3.00 | - | 25% / 25% | 25% / 25% |" in table(
        [result]
    )


def test_nothing_measured_is_a_dash() -> None:
    assert span([]) == "-"


def test_a_table_has_a_line_for_each_row() -> None:
    assert markdown(["Way", "Waits"], [["ours", 300], ["theirs", 5]]).splitlines() == [
        "| Way | Waits |",
        "| --- | ---: |",
        "| ours | 300 |",
        "| theirs | 5 |",
    ]


@pytest.mark.parametrize(
    "part, expected", [(0.0, 1.0), (0.5, 10.0), (0.95, 19.0), (0.951, 20.0), (1.0, 20.0)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(part: float, expected: float) -> None:
    assert percentile([float(value) for value in range(20, 0, -1)], part) == expected


def test_ratios_and_shares_of_nothing_are_dashes() -> None:
    assert (ratio(3.0, 2.0), ratio(None, 2.0), ratio(1.0, 0.0)) == ("1.50", "-", "-")
    assert (share(1, 8), share(0, 0), spread([])) == ("12.5%", "-", "-")


def test_a_spread_is_the_median_between_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.5]) == "2.50 (1.00 to 3.00)"


def test_the_floor_is_half_a_round_and_the_interval_where_that_is_longer() -> None:
    assert schedule.floor(300, 20, 10.0) == (7.5, 14.25)
    assert schedule.floor(100, 20, 10.0) == (5.0, 9.5)


def test_ends_are_repeatable_and_in_order() -> None:
    ends = schedule.ends(NAMES, 10, 60.0, seed=4)
    assert ends == schedule.ends(NAMES, 10, 60.0, seed=4)
    assert len(ends) == 10
    assert ends.keys() <= set(NAMES)
    assert list(ends.values()) == sorted(ends.values())
    assert all(0 <= after <= 60 for after in ends.values())
    assert ends != schedule.ends(NAMES, 10, 60.0, seed=5)


def test_an_ideal_round_robin_notices_within_a_round_and_meets_the_floor() -> None:
    names = [str(number) for number in range(4000)]
    ended_at = {name: 100.0 + after for name, after in schedule.ends(names, 400, 60.0, seed=1).items()}
    lags = schedule.ideal_lags(names, ended_at, 100.0, 1.0, begin_at=7.0)
    middle, late = schedule.floor(len(names), 100, 1.0)
    assert len(lags) == 400
    assert all(0 <= lag <= 40.0 + 1e-6 for lag in lags)
    assert percentile(lags, 0.5) == pytest.approx(middle, rel=0.15)
    assert percentile(lags, 0.95) == pytest.approx(late, rel=0.15)


def test_an_ideal_round_robin_asks_nobody_more_often_than_the_interval() -> None:
    [lag] = schedule.ideal_lags(["only"], {"only": 11.0}, 20.0, 10.0, begin_at=0.0)
    assert lag == 9.0


def test_those_that_have_ended_free_their_place_in_the_round() -> None:
    """All but one end at once: from the next round on the last one is asked at every interval."""
    ended_at = dict.fromkeys(NAMES[1:], 0.0) | {NAMES[0]: 100.0}
    lags = schedule.ideal_lags(NAMES, ended_at, 1.0, 2.0, begin_at=0.0)
    assert max(lags[:-1]) <= len(NAMES)
    assert lags[-1] < 2.0


def test_calls_are_counted_by_time_recording_and_code() -> None:
    calls = Calls([
        Call(10, "a", "OK"), Call(10, "b", THROTTLED), Call(11, "a", GONE), Call(12, "b", "OK"),
    ])  # fmt: skip
    assert (len(calls), calls.accepted, calls.throttled, calls.throttled_share) == (4, 3, 1, "25.0%")
    assert len(calls.between(10.9, 12.2)) == 3
    assert len(calls.of(["a"])) == 2
    assert calls.per_second() == {10: 2, 11: 1, 12: 1}
    assert rates(calls, 10.0, 13.5, 2) == [(1.0, 1.5)]


def test_the_picture_of_rates_has_a_line_for_each_name() -> None:
    picture = ElementTree.fromstring(lines("Rates", [Line("a", [(0, 1), (5, 20)]), Line("<b>", [(0, 3)])]))
    drawn = picture.findall(f"{SVG}polyline")
    assert len(drawn) == 2
    assert "<b>" in [text.text for text in picture.findall(f"{SVG}text")]
    places = [place.split(",") for place in drawn[0].attrib["points"].split()]
    assert float(places[0][0]) < float(places[1][0])
    assert float(places[0][1]) > float(places[1][1])


def test_a_picture_of_nothing_is_one_all_the_same() -> None:
    assert ElementTree.fromstring(plot("Nothing", [Row("none", [])])).tag == f"{SVG}svg"
    assert ElementTree.fromstring(lines("Nothing", [])).tag == f"{SVG}svg"


def test_what_waiters_tell_is_taken_apart() -> None:
    history = Noticed()
    history.take({"ready_at": 1.0, "figures": {"uss": 5.0}})
    history.take({"started_at": 2.0})
    history.take({"recording_id": "a", "at": 3.0})
    history.take({"recording_id": "b", "at": 4.0, "died": "Error: no"})
    history.take({"figures": {"uss": 7.0}})
    assert (history.ready, history.started_at, history.figures) == ({"uss": 5.0}, 2.0, [{"uss": 7.0}])
    assert (history.noticed_at, history.died) == ({"a": 3.0}, [(4.0, "b", "Error: no")])
    assert (history.over, history.over_ids) == (2, {"a", "b"})


def test_memory_of_a_further_waiter_leaves_one_off_costs_out() -> None:
    few, many = {"bytes": 5e6 + 1000 * 2048, "count": 1000.0}, {"bytes": 5e6 + 5000 * 2048, "count": 5000.0}
    assert slopes([few], [many]) == [2.0]


def test_waits_are_told_with_their_ratio_to_floor_and_ideal() -> None:
    setting = waiting.Setting("ours", 300, 20, 10.0, ends=2, ending=60.0, ceiling=20.0, seed=1)
    result = waiting.Result(setting, lags=[7.5, 28.5], ideal=[5.0, 19.0], calls=200, throttled=1, used=0.97)
    line = waiting.report([result], 1.0).splitlines()[2]
    assert "| 1 of 200 (0.5%) | 97% | 7.50 | 1.00 | 1.50 | 28.50 | 2.00 | 1.50 |" in line


def test_the_triggerer_is_told_with_what_ours_takes_beyond_airflows_own() -> None:
    options = SimpleNamespace(scale=1.0, limit=20, poll=10.0, mixed=False)
    plain = triggerer.Result("plain", 1000, assigned=3.0, memory=[(100 * 2**20, 900), (50 * 2**20, 30)])
    ours = triggerer.Result("ours", 1000, 4.0, 51.0, memory=[(160 * 2**20, 1010)], load=0.6)
    ours.fares = {"recording": Fare(1000, 1, lags=[25.0])}
    ours.steady_calls = Calls([Call(6, "a", "OK")] * 300)
    ours.all_started_at = 5.0
    ours.blocks = [
        {"at": at, "blocked_seconds": blocked, "collecting_seconds": collecting}
        for at, blocked, collecting in ((1.0, 0.5, 0.4), (9.0, 0.04, 0.03))
    ]
    text = triggerer.report([plain, ours], options)
    assert "| TrtcJobTrigger | 1000 | 4.0 | 51.0 | 0.500 | 0.040 | 0.030 | 0 | 60% | 50.0% |" in text
    assert "beyond Airflow's own trigger, one-off costs included: 10.2 KiB" in text
    assert "| recording | 1000 | 1 | 0 | 0 | 0 of 0 (-) | 25.00 | 1.00 | 25.00 | 0.53 |" in text
    assert "| all |" not in text
    few = triggerer.Result("few", 1000, memory=[(155 * 2**20, 900)])
    assert "costs included: 10.2 KiB, of a further one: 5.1 KiB." in triggerer.report(
        [plain, few, ours], options
    )


def test_each_kind_fares_against_its_own_floor() -> None:
    kinds = {"r1": "recording", "s1": "slicing", "r2": "recording", "s2": "slicing"}
    calls = Calls(
        [Call(10, "r1", "OK"), Call(10, "s1", THROTTLED), Call(11, "s2", "OK"), Call(12, "x", "OK")]
    )
    ended_at = {"r1": 100.0, "s1": 100.0, "s2": 101.0}
    noticed_at = {"r1": 105.0, "r2": 107.0, "s1": 110.0}
    found = fares.fares_of(kinds, ended_at, noticed_at, frozenset({"r2"}), calls)
    assert found["recording"] == Fare(2, 1, [5.0], lost=1, calls=calls.of(["r1"]))
    assert found["slicing"] == Fare(2, 2, [10.0], late=1, calls=calls.of(["s1", "s2"]))
    assert fares.fares_table(found, 20.0, 10.0).splitlines()[2:] == [
        "| recording | 2 | 1 | 1 | 0 | 0 of 1 (0.0%) | 5.00 | 1.00 | 5.00 | 0.53 |",
        "| slicing | 2 | 2 | 0 | 1 | 1 of 2 (50.0%) | 10.00 | 2.00 | 10.00 | 1.05 |",
        "| all | 4 | 3 | 1 | 1 | 1 of 3 (33.3%) | 5.00 | 1.00 | 10.00 | 1.05 |",
    ]


def test_the_floor_of_a_kind_is_that_of_its_own_number() -> None:
    found = {"recording": Fare(100, 1, [5.0]), "speech": Fare(400, 1, [10.0])}
    assert [line.split(" | ")[6:8] for line in fares.fares_table(found, 20.0, 10.0).splitlines()[2:]] == [
        ["5.00", "1.00"],
        ["10.00", "1.00"],
        ["5.00", "0.50"],
    ]


def test_so_many_of_each_group_end_in_order() -> None:
    groups = [NAMES[:30], NAMES[30:35]]
    ends = schedule.ends_of_each(groups, 10, 60.0, seed=4)
    assert [len(ends.keys() & set(group)) for group in groups] == [10, 5]
    assert list(ends.values()) == sorted(ends.values())
    assert schedule.ends_of_each(groups[:1], 10, 60.0, seed=4) == schedule.ends(groups[0], 10, 60.0, seed=4)
