"""The calls of the API beside those of cloud recording, a module for each family."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_trtc.emulator.action import Action
from airflow_trtc.emulator.families import jobs, others, publishing, quality, rooms, usage

ACTIONS: Mapping[str, Action] = {
    **others.ACTIONS,  # first: what another family answers in its own way goes before
    **jobs.ACTIONS,
    **rooms.ACTIONS,
    **publishing.ACTIONS,
    **usage.ACTIONS,
    **quality.ACTIONS,
}
