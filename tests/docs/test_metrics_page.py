"""The page of metrics says what the table in the code says; its rules are about metrics that there are."""

from __future__ import annotations

import re
from typing import Any

import yaml

from airflow_trtc.metrics import METRICS
from tests.docs.pages import PAGES, table

PAGE = PAGES["metrics"]
PROMETHEUS = {f"airflow_{metric.name.replace('.', '_')}": metric for metric in METRICS}


def names(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([\w.]+)`", cell)


def test_every_metric_is_explained_and_no_other() -> None:
    explained = table(PAGE.text, "Metric")
    assert list(explained) == [metric.name for metric in METRICS]
    for metric in METRICS:
        kind, tags, places, meaning = explained[metric.name]
        assert (kind, names(tags)) == (metric.type, list(metric.tags))
        assert (places, meaning) == (", ".join(metric.places), metric.meaning)


def test_every_value_of_a_tag_is_named() -> None:
    lines = PAGE.text.split("| Tag | Of | Values |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    shown: dict[tuple[str, str], Any] = {}
    for tag, of, values in rows:
        name = tag.strip("`")
        every = [metric.name for metric in METRICS if name in metric.tags]
        for metric_name in every if of == "all" else names(of):
            assert (metric_name, name) not in shown
            is_list = re.fullmatch(r"(`\w+`(, )?)+", values)
            shown[metric_name, name] = tuple(names(values)) if is_list else values
    assert shown == {(metric.name, tag): values for metric in METRICS for tag, values in metric.tags.items()}


def test_the_mappings_are_those_of_all_metrics_with_tags() -> None:
    (found,) = (one for one in map(yaml.safe_load, PAGE.of("yaml")) if "mappings" in one)
    assert found["mappings"] == [
        {
            "match": f"airflow.{metric.name}{'.*' * len(metric.tags)}",
            "name": name,
            "labels": {tag: f"${number}" for number, tag in enumerate(metric.tags, 1)},
        }
        for name, metric in PROMETHEUS.items()
        if metric.tags
    ]


def rules() -> list[dict[str, Any]]:
    (found,) = (one for one in map(yaml.safe_load, PAGE.of("yaml")) if "groups" in one)
    return [rule for group in found["groups"] for rule in group["rules"]]


def test_alerts_are_about_metrics_and_tags_that_there_are() -> None:
    for rule in rules():
        used = re.findall(r"(airflow_trtc_\w+)(?:\{(.*?)\})?", rule["expr"])
        assert used, rule
        for name, labels in used:
            metric = PROMETHEUS[name]
            for label, value in re.findall(r'(\w+)=~?"(.*?)"', labels):
                values = metric.tags.get(label, ("0.9",) if metric.type == "timer" else ())
                assert set(value.split("|")) <= set(values), rule
        for by in re.findall(r"by \((\w+)\)", rule["expr"]):
            assert all(by in PROMETHEUS[name].tags for name, _ in used)


def test_every_alert_is_explained() -> None:
    assert list(table(PAGE.text, "Alert")) == [rule["alert"] for rule in rules()]
