"""How often the service takes an action at most, where it is less than the usual 20 a second. Only figures.

Source: the pages of the actions, e.g. tencentcloud.com/document/api/647/54137 (5 a second) and 647/54327
(once in 15 seconds).
"""

from __future__ import annotations

_FIVE_A_SECOND = 4.75  # a little is left to others, as of the usual limit
_ONCE_IN_FIFTEEN_SECONDS = 1 / 15.5

CEILINGS: dict[str, float] = {
    "DescribeMixTranscodingUsage": _FIVE_A_SECOND,
    "DescribeRecordingUsage": _FIVE_A_SECOND,
    "DescribeRelayUsage": _FIVE_A_SECOND,
    "DescribeTRTCAIRecognitionUsage": _FIVE_A_SECOND,  # this one and the next two say nothing [unsure]
    "DescribeTRTCDedicatedCloudAccUsage": _FIVE_A_SECOND,
    "DescribeTRTCSegmentModerationUsage": _FIVE_A_SECOND,
    "DescribeTrtcRoomUsage": _ONCE_IN_FIFTEEN_SECONDS,
    "DescribeTrtcUsage": _FIVE_A_SECOND,
}
"""Requests a second, by action."""


def ceiling(action: str, requests_per_second: float) -> float:
    """Requests a second for an action, at most those that the settings allow."""
    return min(requests_per_second, CEILINGS.get(action, requests_per_second))
