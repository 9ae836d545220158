"""The limits that Drive documents, beside the quota."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Limit(enum.Enum):
    """A limit that is reached, by Google's word for it."""

    FULL = "storageQuotaExceeded"
    CHILDREN = "numChildrenInNonRootLimitExceeded"
    LEVELS = "myDriveHierarchyDepthLimitExceeded"
    SHARED_LEVELS = "teamDriveHierarchyTooDeep"
    SHARED_ITEMS = "teamDriveFileLimitExceeded"
    DAY = "userRateLimitExceeded"  #: what clients of others wait for; no page names the reason


@dataclass(frozen=True)
class Limits:
    """How much Drive takes (Google's "Resolve errors" and "Usage limits", 2026).

    Args:
        children: Items directly in a folder, other than `My Drive` itself. The trash counts *(assumed)*.
        levels: Of folders; files may lie in the last.
        shared_items: In the shared drive, the trash too.
        day: Bytes uploaded in 24 hours; what crosses the line is taken, and then nothing.
    """

    children: int = 500_000
    levels: int = 100
    shared_items: int = 500_000
    day: int = 750 * 10**9
