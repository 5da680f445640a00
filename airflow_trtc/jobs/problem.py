"""What can go wrong with a job, as its callbacks tell."""

from __future__ import annotations

from dataclasses import dataclass

LINGERING = "lingering"
NO_CALLBACK = "no_callback"  # of a wait, not of the recording
PROBLEM_KINDS = ("start", "interrupted", "upload", LINGERING, "mp4", "vod", "image")
# A missing background image spoils no file.
FAIL_ON = frozenset(PROBLEM_KINDS) - {"image"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong.

    :param kind: ``start``, the recorder did not start (301 Status 1); ``interrupted``, it lost the room (302
        LeaveCode 100, 101); ``upload``, files could not be uploaded (303 Status 1, 308); ``lingering``, files
        are still on the service's machines or backup storage (305, 310, 311 Status 1); ``mp4``, the
        conversion failed (310 Status 2); ``vod``, a file or the whole did not get into VOD (311 Status 2, 312
        Status 1); ``image``, a background image could not be fetched (309). Of a wait also ``no_callback``.
    :param message: for a person to read.
    """

    kind: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether nothing can mend it any more; lingering files usually arrive later."""
        return self.kind != LINGERING
