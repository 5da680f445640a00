"""What can go wrong with a job, as its callbacks report."""

from __future__ import annotations

from dataclasses import dataclass

LINGERING = "lingering"
NO_CALLBACK = "no_callback"  # of a wait, not of the job
PROBLEM_KINDS = ("start", "interrupted", "upload", LINGERING, "mp4", "vod", "image", "relay")
# A missing background image spoils no file.
FAIL_ON = frozenset(PROBLEM_KINDS) - {"image"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong.

    :param kind: ``start``, the job did not start; ``interrupted``, it lost the room, or broke off;
        ``upload``, files could not be uploaded; ``lingering``, files are still on the service's machines or
        backup storage; ``mp4``, a conversion failed; ``vod``, a file or the whole did not get into VOD;
        ``image``, a background image could not be fetched; ``relay``, an address was not, or no longer,
        served. Of a wait also ``no_callback``. The codes of each stand in :mod:`airflow_trtc.jobs.events`.
    :param message: for a person to read.
    """

    kind: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether nothing can mend it any more; lingering files usually arrive later."""
        return self.kind != LINGERING
